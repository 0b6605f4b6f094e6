//! A container's whole life from Rust, with every error looked at: examples/c/run.c once more, in the crate's own types.
//!
//! `sudo cargo run --example run BUNDLE [ID]` creates a container from the bundle, shows its state, starts it,
//! executes a second process in it if it still runs, copies its output, waits, deletes it, and exits as the
//! container did.
#![forbid(unsafe_code)]

use riverrun::{
    Call, Container, Context, ContextOptions, CreateOptions, Error, ExecOptions, Io, Kind, Level, Process,
    Stdio,
};
use std::fs::File;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{env, io};

/// What was being done, and why it did not succeed.
type Failure = (&'static str, Box<dyn std::error::Error>);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (bundle, id) = match arguments.as_slice() {
        [bundle] if !bundle.starts_with('-') => (bundle, format!("run-{}", std::process::id())),
        [bundle, id] if !bundle.starts_with('-') => (bundle, id.clone()),
        _ => {
            eprintln!(
                "usage: run BUNDLE [ID]\n\nTakes a container through its whole life with riverrun {}.",
                riverrun::VERSION
            );
            return ExitCode::from(2);
        }
    };
    match run(bundle, &id) {
        Ok(status) => ExitCode::from(status),
        Err((doing, error)) => {
            let name = error.downcast_ref::<Error>().map_or("", |error| error.kind().name());
            eprintln!("run: {doing}: {error} ({name})");
            ExitCode::FAILURE
        }
    }
}

fn run(bundle: &str, id: &str) -> Result<u8, Failure> {
    let log = Arc::new(|level: Level, message: &str| eprintln!("run: {level:?}: {message}"));
    let context =
        Context::new(ContextOptions { log: Some(log), ..Default::default() }).map_err(during("set up"))?;
    let io = Io { stdin: Stdio::Null, stdout: Stdio::Pipe, ..Default::default() };
    let options = CreateOptions { bundle: Some(bundle.into()), io, ..Default::default() };
    let container = context.create(id, options).map_err(during("create"))?;
    let status = live(&container);
    container.delete(true, Call::default()).map_err(during("delete"))?;
    status
}

/// From created to stopped.
fn live(container: &Container) -> Result<u8, Failure> {
    println!("{}", container.state().map_err(during("state"))?.to_json());
    // Taken while it is there: afterwards nobody could say how it ended.
    let init = container.init_process().map_err(during("find init"))?;
    container.start(Call::default()).map_err(during("start"))?;
    visit(container)?;
    if let Some(output) = init.take_pipe(1) {
        io::copy(&mut File::from(output), &mut io::stdout()).map_err(during("copy output"))?;
    }
    wait(&init)
}

/// A second process in the container, its output being ours.
fn visit(container: &Container) -> Result<(), Failure> {
    let process = br#"{ "args": ["/bin/id"], "cwd": "/", "user": { "uid": 0, "gid": 0 } }"#.to_vec();
    match container.exec(ExecOptions { process, ..Default::default() }) {
        Ok(visitor) => println!("run: the visitor exited with {}", wait(&visitor)?),
        // The container was faster: told by the kind, not by the words.
        Err(error) if error.kind() == Kind::NotRunning => println!("run: too late for a visit"),
        Err(error) => return Err(("exec", error.into())),
    }
    Ok(())
}

/// How a process ended, as a shell would say it.
fn wait(process: &Process) -> Result<u8, Failure> {
    let patience = Call { timeout: Some(Duration::from_secs(60)), ..Default::default() };
    let exit = process.wait(patience).map_err(during("wait"))?;
    Ok(u8::try_from(exit.shell_status()).unwrap_or(u8::MAX))
}

fn during<E: std::error::Error + 'static>(doing: &'static str) -> impl Fn(E) -> Failure {
    move |error| (doing, error.into())
}
