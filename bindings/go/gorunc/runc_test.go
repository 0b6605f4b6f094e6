package runc_test

// What callers of go-runc rely upon, on real containers. tests/bindings/run compiles this file twice: as it is, and with the import
// swapped for go-runc itself over the command line ($RUNC). Both have to pass. Needs root and $BUNDLE.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	runc "github.com/riverrun/riverrun/bindings/go/gorunc"
)

// methods are go-runc's, 1.0: who has them can take its place.
type methods interface {
	List(context.Context) ([]*runc.Container, error)
	State(context.Context, string) (*runc.Container, error)
	Create(context.Context, string, string, *runc.CreateOpts) error
	Start(context.Context, string) error
	Exec(context.Context, string, specs.Process, *runc.ExecOpts) error
	Run(context.Context, string, string, *runc.CreateOpts) (int, error)
	Delete(context.Context, string, *runc.DeleteOpts) error
	Kill(context.Context, string, int, *runc.KillOpts) error
	Stats(context.Context, string) (*runc.Stats, error)
	Events(context.Context, string, time.Duration) (chan *runc.Event, error)
	Pause(context.Context, string) error
	Resume(context.Context, string) error
	Ps(context.Context, string) ([]int, error)
	Top(context.Context, string, string) (*runc.TopResults, error)
	Checkpoint(context.Context, string, *runc.CheckpointOpts, ...runc.CheckpointAction) error
	Restore(context.Context, string, string, *runc.RestoreOpts) (int, error)
	Update(context.Context, string, *specs.LinuxResources) error
	Version(context.Context) (runc.Version, error)
}

var _ methods = (*runc.Runc)(nil)

const patience = 60 * time.Second

var (
	background = context.Background()
	count      int
)

func TestMain(m *testing.M) {
	if os.Getenv("BUNDLE") == "" {
		fmt.Println("skipped: no $BUNDLE: tests/bindings/run sets it")
		os.Exit(0)
	}
	// As a shim is: what a runtime leaves becomes a child of it.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// scene is a state root and a bundle of a test's own.
type scene struct {
	*runc.Runc
	t          *testing.T
	bundle, id string
}

func set(t *testing.T, terminal bool, args ...string) *scene {
	t.Helper()
	count++
	directory := t.TempDir()
	s := &scene{t: t, bundle: directory, id: fmt.Sprintf("gorunc-%d-%d", os.Getpid(), count)}
	s.Runc = &runc.Runc{Command: os.Getenv("RUNC"), Root: directory + "/state", Log: directory + "/log", LogFormat: runc.JSON}
	text, err := os.ReadFile(filepath.Join(os.Getenv("BUNDLE"), "config.json"))
	s.must(err)
	var spec specs.Spec
	s.must(json.Unmarshal(text, &spec))
	spec.Root.Path = filepath.Join(os.Getenv("BUNDLE"), "rootfs")
	spec.Process.Args, spec.Process.Terminal = args, terminal
	text, err = json.Marshal(spec)
	s.must(err)
	s.must(os.WriteFile(directory+"/config.json", text, 0o600))
	t.Cleanup(func() { _ = s.Delete(background, s.id, &runc.DeleteOpts{Force: true}) })
	return s
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) expect(holds bool, seen ...any) {
	s.t.Helper()
	if !holds {
		s.t.Fatal(seen...)
	}
}

func (s *scene) null() runc.IO {
	null, err := runc.NewNullIO()
	s.must(err)
	return null
}

// running starts it with streams that lead nowhere.
func running(t *testing.T, args ...string) *scene {
	t.Helper()
	s := set(t, false, args...)
	s.must(s.Create(background, s.id, s.bundle, &runc.CreateOpts{IO: s.null(), PidFile: s.bundle + "/pid"}))
	s.must(s.Start(background, s.id))
	return s
}

func (s *scene) process(script string) specs.Process {
	return specs.Process{Args: []string{"/bin/sh", "-c", script}, Cwd: "/", Env: []string{"PATH=/bin"}}
}

// ended waits for a child of this process, as a shim's reaper does.
func (s *scene) ended(pid int) int {
	s.t.Helper()
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, 0, nil)
		if err != unix.EINTR {
			s.must(err)
			break
		}
	}
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

func TestLifeThroughPipes(t *testing.T) {
	s := set(t, false, "/bin/sh", "-c", "read line; echo got $line; echo bad >&2; exit 3")
	pipes, err := runc.NewPipeIO(0, 0)
	s.must(err)
	s.must(s.Create(background, s.id, s.bundle, &runc.CreateOpts{IO: pipes, PidFile: s.bundle + "/pid"}))
	state, err := s.State(background, s.id)
	s.must(err)
	pid, err := runc.ReadPidFile(s.bundle + "/pid")
	s.must(err)
	s.expect(state.Status == "created" && state.Pid == pid && state.ID == s.id && state.Bundle == s.bundle, state)
	list, err := s.List(background)
	s.must(err)
	s.expect(len(list) == 1 && list[0].ID == s.id, list)
	s.must(s.Start(background, s.id))
	fmt.Fprintln(pipes.Stdin(), "this")
	out, err := io.ReadAll(pipes.Stdout())
	s.must(err)
	bad, err := io.ReadAll(pipes.Stderr())
	s.must(err)
	s.expect(string(out) == "got this\n" && string(bad) == "bad\n", string(out), string(bad))
	s.expect(s.ended(pid) == 3)
	state, err = s.State(background, s.id)
	s.must(err)
	s.expect(state.Status == "stopped", state)
	s.must(s.Delete(background, s.id, nil))
	_, err = s.State(background, s.id)
	s.expect(err != nil && strings.Contains(err.Error(), "does not exist"), err)
	log, err := os.ReadFile(s.Log)
	s.must(err)
	s.expect(bytes.Contains(log, []byte(`"level":"error"`)) && bytes.Contains(log, []byte("does not exist")), string(log))
}

func TestRunGivesTheExitStatus(t *testing.T) {
	s := set(t, false, "/bin/sh", "-c", "exit 7")
	started := make(chan int, 1)
	status, err := s.Run(background, s.id, s.bundle, &runc.CreateOpts{IO: s.null(), Started: started})
	var exit *runc.ExitError
	s.expect(status == 7 && errors.As(err, &exit) && exit.Status == 7, status, err)
	s.expect(<-started > 0)
	list, err := s.List(background)
	s.expect(err == nil && len(list) == 0, list, err)
}

func TestRunIsDetached(t *testing.T) {
	s := set(t, false, "/bin/sleep", "60")
	status, err := s.Run(background, s.id, s.bundle, &runc.CreateOpts{IO: s.null(), Detach: true, PidFile: s.bundle + "/pid"})
	s.expect(status == 0 && err == nil, status, err)
	state, err := s.State(background, s.id)
	s.expect(err == nil && state.Status == "running", state, err)
}

func TestExec(t *testing.T) {
	s := running(t, "/bin/sleep", "60")
	pipes, err := runc.NewPipeIO(0, 0)
	s.must(err)
	options := &runc.ExecOpts{IO: pipes, Detach: true, PidFile: s.bundle + "/exec"}
	s.must(s.Exec(background, s.id, s.process("echo in; exit 5"), options))
	out, err := io.ReadAll(pipes.Stdout())
	s.must(err)
	pid, err := runc.ReadPidFile(s.bundle + "/exec")
	s.must(err)
	s.expect(string(out) == "in\n" && s.ended(pid) == 5, string(out))
	var exit *runc.ExitError
	err = s.Exec(background, s.id, s.process("exit 9"), &runc.ExecOpts{IO: s.null()})
	s.expect(errors.As(err, &exit) && exit.Status == 9, err)
	s.must(s.Exec(background, s.id, s.process("exit 0"), &runc.ExecOpts{IO: s.null()}))
}

func TestConsoleSocket(t *testing.T) {
	s := set(t, true, "/bin/sh", "-c", "test -t 0 && echo terminal")
	socket, err := runc.NewTempConsoleSocket()
	s.must(err)
	defer socket.Close()
	s.must(s.Create(background, s.id, s.bundle, &runc.CreateOpts{ConsoleSocket: socket}))
	master, err := socket.ReceiveMaster()
	s.must(err)
	defer master.Close()
	s.must(s.Start(background, s.id))
	said := make([]byte, 64)
	n, err := master.Read(said)
	s.expect(err == nil && strings.HasPrefix(string(said[:n]), "terminal"), string(said[:n]), err)
}

func TestExtraFiles(t *testing.T) {
	s := set(t, false, "/bin/sh", "-c", "echo there >&3")
	reader, writer, err := os.Pipe()
	s.must(err)
	s.must(s.Create(background, s.id, s.bundle, &runc.CreateOpts{IO: s.null(), ExtraFiles: []*os.File{writer}}))
	writer.Close()
	s.must(s.Start(background, s.id))
	text, err := io.ReadAll(reader)
	s.expect(err == nil && string(text) == "there\n", string(text), err)
}

func TestKillPauseAndResume(t *testing.T) {
	s := running(t, "/bin/sleep", "60")
	s.must(s.Pause(background, s.id))
	state, err := s.State(background, s.id)
	s.expect(err == nil && state.Status == "paused", state, err)
	s.must(s.Resume(background, s.id))
	s.must(s.Kill(background, s.id, int(unix.SIGKILL), &runc.KillOpts{All: true}))
	s.expect(s.ended(state.Pid) == 137)
	s.must(s.Delete(background, s.id, nil))
}

func TestMembersStatsAndLimits(t *testing.T) {
	s := running(t, "/bin/sleep", "60")
	state, err := s.State(background, s.id)
	s.must(err)
	pids, err := s.Ps(background, s.id)
	s.expect(err == nil && len(pids) == 1 && pids[0] == state.Pid, pids, err)
	top, err := s.Top(background, s.id, "-ef")
	s.must(err)
	s.expect(len(top.Processes) == 1 && strings.Contains(strings.Join(top.Processes[0], " "), "sleep 60"), top)
	limit := int64(77)
	s.must(s.Update(background, s.id, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: limit}}))
	stats, err := s.Stats(background, s.id)
	s.expect(err == nil && stats.Pids.Limit == 77 && stats.Pids.Current == 1 && stats.Memory.Usage.Usage > 0, stats, err)
}

func TestEventsUntilTheEnd(t *testing.T) {
	s := running(t, "/bin/sleep", "60")
	ctx, cancel := context.WithTimeout(background, patience)
	defer cancel()
	events, err := s.Events(ctx, s.id, time.Second)
	s.must(err)
	event := <-events
	s.expect(event != nil && event.Type == "stats" && event.ID == s.id && event.Stats.Pids.Current == 1, event)
	s.must(s.Kill(background, s.id, int(unix.SIGKILL), nil))
	for range events {
	}
	s.expect(ctx.Err() == nil, "the channel was not closed at the container's end")
}

func TestMissingProgramIsToldAndNothingStays(t *testing.T) {
	s := set(t, false, "/bin/nothing")
	_, err := s.Run(background, s.id, s.bundle, &runc.CreateOpts{IO: s.null(), Detach: true})
	s.expect(err != nil)
	log, _ := os.ReadFile(s.Log)
	s.expect(bytes.Contains(log, []byte("no such file or directory")), string(log))
	list, err := s.List(background)
	s.expect(err == nil && len(list) == 0, list, err)
}

func TestCheckpointAndRestore(t *testing.T) {
	if os.Getenv("CRIU") == "" { // It is in PATH as well then.
		fmt.Println("skipped: TestCheckpointAndRestore: no CRIU that starts here")
		t.Skip()
	}
	s := running(t, "/bin/sleep", "60")
	images := t.TempDir()
	s.must(s.Checkpoint(background, s.id, &runc.CheckpointOpts{ImagePath: images}, runc.LeaveRunning))
	state, err := s.State(background, s.id)
	s.expect(err == nil && state.Status == "running", state, err)
	s.must(s.Checkpoint(background, s.id, &runc.CheckpointOpts{ImagePath: images}))
	s.must(s.Delete(background, s.id, &runc.DeleteOpts{Force: true}))
	status, err := s.Restore(background, s.id, s.bundle, &runc.RestoreOpts{
		CheckpointOpts: runc.CheckpointOpts{ImagePath: images}, IO: s.null(), Detach: true, PidFile: s.bundle + "/again"})
	s.expect(err == nil && status == 0, status, err)
	state, err = s.State(background, s.id)
	s.must(err)
	pid, err := runc.ReadPidFile(s.bundle + "/again")
	s.expect(err == nil && state.Status == "running" && state.Pid == pid, state, err)
	s.must(s.Kill(background, s.id, int(unix.SIGKILL), nil))
	s.expect(s.ended(pid) == 137)
}

func TestVersion(t *testing.T) {
	s := set(t, false, "/bin/true")
	version, err := s.Version(background)
	s.expect(err == nil && version.Runc != "" && strings.HasPrefix(version.Spec, "1."), version, err)
}
