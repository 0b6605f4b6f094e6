package riverrun_test

// The claims of bindings/claims.txt, kept by the Go package: a function a claim. Needs root, and a busybox root filesystem in
// $ROOTFS; tests/bindings/run gives both.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

const long = 60 * time.Second

var background = context.Background()

// claims is every function by its claim's name.
var claims = map[string]func(*testing.T){
	"version_is_the_headers":                   versionIsTheHeaders,
	"features_are_told_by_name":                featuresAreToldByName,
	"spec_is_a_valid_config":                   specIsAValidConfig,
	"bad_config_names_the_place":               badConfigNamesThePlace,
	"features_document_is_complete":            featuresDocumentIsComplete,
	"error_has_code_and_message":               errorHasCodeAndMessage,
	"error_has_its_chain":                      errorHasItsChain,
	"error_has_its_errno":                      errorHasItsErrno,
	"error_has_its_details":                    errorHasItsDetails,
	"created_running_stopped":                  createdRunningStopped,
	"run_is_create_and_start":                  runIsCreateAndStart,
	"config_without_a_bundle":                  configWithoutABundle,
	"state_document_is_the_command_lines":      stateDocumentIsTheCommandLines,
	"list_names_the_containers":                listNamesTheContainers,
	"open_finds_what_another_made":             openFindsWhatAnotherMade,
	"existing_id_is_refused":                   existingIDIsRefused,
	"invalid_id_is_refused":                    invalidIDIsRefused,
	"missing_container_is_not_found":           missingContainerIsNotFound,
	"missing_program_is_named":                 missingProgramIsNamed,
	"second_start_is_refused":                  secondStartIsRefused,
	"running_container_is_not_deleted":         runningContainerIsNotDeleted,
	"forced_delete_leaves_nothing":             forcedDeleteLeavesNothing,
	"kill_ends_by_the_signal":                  killEndsByTheSignal,
	"many_may_wait":                            manyMayWait,
	"wait_has_a_deadline":                      waitHasADeadline,
	"wait_is_cancelled":                        waitIsCancelled,
	"cancelled_create_leaves_nothing":          cancelledCreateLeavesNothing,
	"output_comes_through_a_pipe":              outputComesThroughAPipe,
	"input_goes_through_a_pipe":                inputGoesThroughAPipe,
	"output_goes_to_a_descriptor":              outputGoesToADescriptor,
	"null_streams_are_empty":                   nullStreamsAreEmpty,
	"extra_descriptor_arrives":                 extraDescriptorArrives,
	"terminal_has_its_size":                    terminalHasItsSize,
	"exec_has_its_own_exit":                    execHasItsOwnExit,
	"exec_reads_its_input":                     execReadsItsInput,
	"executed_process_is_signalled":            executedProcessIsSignalled,
	"exec_into_a_stopped_container_is_refused": execIntoAStoppedContainerIsRefused,
	"members_are_listed":                       membersAreListed,
	"pid_file_holds_the_pid":                   pidFileHoldsThePid,
	"log_lines_arrive":                         logLinesArrive,
	"pidfd_is_readable_at_the_end":             pidfdIsReadableAtTheEnd,
	"handles_outlive_their_context":            handlesOutliveTheirContext,
	"host_is_untouched":                        hostIsUntouched,
	"namespace_is_opened":                      namespaceIsOpened,
	"cgroup_is_opened":                         cgroupIsOpened,
	"seccomp_listener_is_taken":                seccompListenerIsTaken,
	"readiness_is_heard":                       readinessIsHeard,
	"checkpointed_container_goes_on":           checkpointedContainerGoesOn,
	"migrated_container_goes_on":               migratedContainerGoesOn,
	"migration_to_nobody_leaves_it_running":    migrationToNobodyLeavesItRunning,
	"pause_freezes_and_resume_thaws":           pauseFreezesAndResumeThaws,
	"update_changes_a_limit":                   updateChangesALimit,
	"stats_count_what_runs":                    statsCountWhatRuns,
	"stats_document_is_the_command_lines":      statsDocumentIsTheCommandLines,
	"events_end_with_exit":                     eventsEndWithExit,
	"events_tell_out_of_memory_before_exit":    eventsTellOutOfMemoryBeforeExit,
	"events_of_many_in_one_loop":               eventsOfManyInOneLoop,
}

var (
	rt    *riverrun.Runtime
	root  string
	logMu sync.Mutex
	lines []string
)

func TestMain(m *testing.M) {
	if os.Getenv("ROOTFS") == "" {
		fmt.Println("skipped: no $ROOTFS: tests/bindings/run sets it")
		os.Exit(0)
	}
	work, err := os.MkdirTemp("", "rr-go-")
	if err != nil {
		panic(err)
	}
	root = work + "/state"
	rt, err = riverrun.New(riverrun.Options{Root: root, LogLevel: riverrun.LogWarn, Log: func(_ riverrun.Level, line string, _ json.RawMessage) {
		logMu.Lock()
		defer logMu.Unlock()
		lines = append(lines, line)
	}})
	if err != nil {
		panic(err)
	}
	if os.Getenv("RIVERRUN_REAPER") != "" {
		go reap()
	}
	code := m.Run()
	os.RemoveAll(work)
	os.Exit(code)
}

// reap takes the status of every child, as a host that is pid 1 does.
func reap() {
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil {
			time.Sleep(time.Millisecond)
		}
	}
}

func TestClaims(t *testing.T) {
	var names []string
	for name := range claims {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if t.Run(name, claims[name]) {
			fmt.Printf("ok - %s\n", name)
		} else {
			fmt.Printf("not ok - %s\n", name)
		}
	}
}

// ---- helpers ----

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, holds bool, seen ...any) {
	t.Helper()
	if !holds {
		t.Fatal(seen...)
	}
}

func refused(t *testing.T, err error, code riverrun.Code) *riverrun.Error {
	t.Helper()
	var taken *riverrun.Error
	if !errors.Is(err, code) || !errors.As(err, &taken) {
		t.Fatalf("%v instead of %v", err, code)
	}
	return taken
}

var count int

func fresh() string {
	count++
	return fmt.Sprintf("go-%d-%d", os.Getpid(), count)
}

type document = map[string]any

func config(t *testing.T, change func(process document), args ...string) []byte {
	t.Helper()
	spec, err := riverrun.Spec(false)
	must(t, err)
	var made document
	must(t, json.Unmarshal(spec, &made))
	made["root"] = document{"path": os.Getenv("ROOTFS"), "readonly": true}
	process := made["process"].(document)
	process["terminal"], process["args"] = false, args
	if change != nil {
		change(process)
	}
	encoded, err := json.Marshal(made)
	must(t, err)
	return encoded
}

func shell(t *testing.T, script string) []byte { return config(t, nil, "/bin/sh", "-c", script) }

// run gives a running container that is deleted at the test's end.
func run(t *testing.T, script string, io riverrun.IO) *riverrun.Container {
	t.Helper()
	return started(t, riverrun.CreateOptions{Config: shell(t, script), IO: io})
}

func started(t *testing.T, options riverrun.CreateOptions) *riverrun.Container {
	t.Helper()
	web, err := rt.Run(background, fresh(), options)
	must(t, err)
	t.Cleanup(func() {
		must(t, web.Delete(background, riverrun.DeleteForce))
		web.Pipes.Close()
		web.Close()
	})
	return web
}

func initOf(t *testing.T, web *riverrun.Container) *riverrun.Process {
	t.Helper()
	process, err := web.InitProcess()
	must(t, err)
	return process
}

func wait(t *testing.T, process *riverrun.Process) riverrun.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, long)
	defer cancel()
	exit, err := process.Wait(ctx)
	must(t, err)
	return exit
}

func state(t *testing.T, web *riverrun.Container) riverrun.State {
	t.Helper()
	state, err := web.State()
	must(t, err)
	return state
}

func all(t *testing.T, file *os.File) string {
	t.Helper()
	text, err := io.ReadAll(file)
	must(t, err)
	return string(text)
}

func listed(t *testing.T, id string) bool {
	t.Helper()
	list, err := rt.List()
	must(t, err)
	for _, entry := range list {
		if entry.ID == id {
			return true
		}
	}
	return false
}

// ---- what needs no container ----

func versionIsTheHeaders(t *testing.T) {
	number := riverrun.HeaderVersion()
	expect(t, riverrun.Version() == fmt.Sprintf("%d.%d.%d", number>>24, number>>16&255, number>>8&255), riverrun.Version())
}

func featuresAreToldByName(t *testing.T) {
	expect(t, riverrun.HasFeature("exec") && !riverrun.HasFeature("flight"))
}

func specIsAValidConfig(t *testing.T) {
	for _, rootless := range []bool{false, true} {
		spec, err := riverrun.Spec(rootless)
		must(t, err)
		must(t, riverrun.CheckConfig(spec))
	}
}

func badConfigNamesThePlace(t *testing.T) {
	err := refused(t, riverrun.CheckConfig([]byte(`{"ociVersion":"1.0.2","process":{"cwd":7}}`)), riverrun.ErrInvalidSpec)
	expect(t, strings.Contains(err.Message, "process.cwd"), err)
}

func featuresDocumentIsComplete(t *testing.T) {
	features, err := riverrun.Features()
	must(t, err)
	expect(t, bytes.Contains(features, []byte(`"startContainer"`)) && bytes.Contains(features, []byte(`"rbind"`)))
}

// ---- errors ----

func errorHasCodeAndMessage(t *testing.T) {
	_, err := rt.Open("nobody")
	taken := refused(t, err, riverrun.ErrNotFound)
	expect(t, taken.Code.Error() == "RR_E_NOT_FOUND" && strings.Contains(err.Error(), "does not exist"), err)
}

func errorHasItsChain(t *testing.T) {
	_, err := rt.Create(background, fresh(), riverrun.CreateOptions{Bundle: root + "/no-bundle"})
	taken := refused(t, err, riverrun.ErrInvalidArgument)
	expect(t, len(taken.Chain) > 1 && strings.Join(taken.Chain, ": ") == taken.Message, taken.Chain)
}

func errorHasItsErrno(t *testing.T) {
	_, err := rt.Create(background, fresh(), riverrun.CreateOptions{Bundle: root + "/no-bundle"})
	expect(t, errors.Is(err, syscall.ENOENT) && errors.Is(err, os.ErrNotExist), err)
}

func errorHasItsDetails(t *testing.T) {
	empty := t.TempDir()
	_, err := rt.Create(background, fresh(), riverrun.CreateOptions{Bundle: empty})
	var told *riverrun.Error
	expect(t, errors.As(err, &told) && strings.Contains(told.Details["path"], empty), err)
}

// ---- the life of a container ----

func createdRunningStopped(t *testing.T) {
	web, err := rt.Create(background, fresh(), riverrun.CreateOptions{Config: shell(t, "exit 7"), IO: riverrun.NullIO})
	must(t, err)
	now := state(t, web)
	expect(t, now.Status == riverrun.Created && now.Pid > 0, now)
	first := initOf(t, web)
	must(t, web.Start(background))
	exit := wait(t, first)
	expect(t, exit.Code == 7 && exit.Signal == 0 && exit.ShellStatus() == 7, exit)
	expect(t, state(t, web).Status == riverrun.Stopped)
	must(t, web.Delete(background))
	_, err = web.State()
	refused(t, err, riverrun.ErrNotFound)
}

func runIsCreateAndStart(t *testing.T) {
	expect(t, state(t, run(t, "sleep 60", riverrun.NullIO)).Status == riverrun.Running)
}

func configWithoutABundle(t *testing.T) {
	expect(t, wait(t, initOf(t, run(t, "true", riverrun.NullIO))).Code == 0)
}

func stateDocumentIsTheCommandLines(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	document, err := web.StateDocument()
	must(t, err)
	expect(t, document.ID == web.ID && document.Status == "running" && document.Pid == state(t, web).Pid, document)
}

func listNamesTheContainers(t *testing.T) {
	one, two := run(t, "sleep 60", riverrun.NullIO), run(t, "sleep 60", riverrun.NullIO)
	expect(t, listed(t, one.ID) && listed(t, two.ID))
}

func openFindsWhatAnotherMade(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	other, err := riverrun.New(riverrun.Options{Root: root})
	must(t, err)
	defer other.Close()
	found, err := other.Open(web.ID)
	must(t, err)
	defer found.Close()
	expect(t, state(t, found).Pid == state(t, web).Pid)
}

func existingIDIsRefused(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	_, err := rt.Create(background, web.ID, riverrun.CreateOptions{Config: shell(t, "true"), IO: riverrun.NullIO})
	refused(t, err, riverrun.ErrExists)
}

func invalidIDIsRefused(t *testing.T) {
	_, err := rt.Create(background, "a/b", riverrun.CreateOptions{Config: shell(t, "true"), IO: riverrun.NullIO})
	refused(t, err, riverrun.ErrInvalidID)
}

func missingContainerIsNotFound(t *testing.T) {
	_, err := rt.Open("nobody")
	refused(t, err, riverrun.ErrNotFound)
}

func missingProgramIsNamed(t *testing.T) {
	_, err := rt.Run(background, fresh(), riverrun.CreateOptions{Config: config(t, nil, "/bin/nothing"), IO: riverrun.NullIO})
	expect(t, strings.Contains(refused(t, err, riverrun.ErrExecNotFound).Message, "/bin/nothing"), err)
}

func secondStartIsRefused(t *testing.T) {
	refused(t, run(t, "sleep 60", riverrun.NullIO).Start(background), riverrun.ErrRunning)
}

func runningContainerIsNotDeleted(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	refused(t, web.Delete(background), riverrun.ErrRunning)
	expect(t, state(t, web).Status == riverrun.Running)
}

func forcedDeleteLeavesNothing(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	first := initOf(t, web)
	must(t, web.Delete(background, riverrun.DeleteForce))
	expect(t, wait(t, first).Signal == syscall.SIGKILL)
	expect(t, !listed(t, web.ID))
	must(t, web.Delete(background, riverrun.DeleteForce))
}

func killEndsByTheSignal(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	first := initOf(t, web)
	must(t, web.Kill(background, syscall.SIGKILL))
	exit := wait(t, first)
	expect(t, exit.Signal == syscall.SIGKILL && exit.ShellStatus() == 137, exit)
}

// ---- waiting ----

func manyMayWait(t *testing.T) {
	first := initOf(t, run(t, "sleep 1; exit 9", riverrun.NullIO))
	ends := make(chan riverrun.Exit, 8)
	for i := 0; i < 8; i++ {
		go func() {
			exit, _ := first.Wait(background)
			ends <- exit
		}()
	}
	for i := 0; i < 8; i++ {
		exit := <-ends
		expect(t, exit.Code == 9, exit)
	}
}

func waitHasADeadline(t *testing.T) {
	first := initOf(t, run(t, "sleep 60", riverrun.NullIO))
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	_, err := first.Wait(ctx)
	expect(t, errors.Is(err, context.DeadlineExceeded), err)
}

func waitIsCancelled(t *testing.T) {
	first := initOf(t, run(t, "sleep 60", riverrun.NullIO))
	ctx, cancel := context.WithCancel(background)
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := first.Wait(ctx)
	expect(t, errors.Is(err, context.Canceled) && errors.Is(err, riverrun.ErrCancelled), err)
}

func cancelledCreateLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	cancel()
	id := fresh()
	_, err := rt.Create(ctx, id, riverrun.CreateOptions{Config: shell(t, "true"), IO: riverrun.NullIO})
	expect(t, errors.Is(err, context.Canceled), err)
	_, err = rt.Open(id)
	refused(t, err, riverrun.ErrNotFound)
}

// ---- streams ----

func outputComesThroughAPipe(t *testing.T) {
	web := run(t, "echo out; echo err >&2", riverrun.IO{Stdin: riverrun.Null, Stdout: riverrun.Pipe, Stderr: riverrun.Pipe})
	out, err := all(t, web.Pipes.Stdout), all(t, web.Pipes.Stderr)
	expect(t, out == "out\n" && err == "err\n", out, err)
}

func inputGoesThroughAPipe(t *testing.T) {
	web := run(t, "read word; echo got $word", riverrun.IO{Stdin: riverrun.Pipe, Stdout: riverrun.Pipe, Stderr: riverrun.Null})
	_, err := web.Pipes.Stdin.WriteString("a-word\n")
	must(t, err)
	expect(t, all(t, web.Pipes.Stdout) == "got a-word\n")
}

func outputGoesToADescriptor(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "output"))
	must(t, err)
	defer file.Close()
	wait(t, initOf(t, run(t, "echo to-a-file", riverrun.IO{Stdin: riverrun.Null, Stdout: riverrun.File(file), Stderr: riverrun.Null})))
	text, err := os.ReadFile(file.Name())
	must(t, err)
	expect(t, string(text) == "to-a-file\n", string(text))
}

func nullStreamsAreEmpty(t *testing.T) {
	expect(t, wait(t, initOf(t, run(t, "cat; exit 5", riverrun.NullIO))).Code == 5)
}

func extraDescriptorArrives(t *testing.T) {
	reader, writer, err := os.Pipe()
	must(t, err)
	defer reader.Close()
	streams := riverrun.NullIO
	streams.Files = map[int]*os.File{5: writer}
	wait(t, initOf(t, run(t, "echo by-five >&5", streams)))
	writer.Close()
	expect(t, all(t, reader) == "by-five\n")
}

func terminalHasItsSize(t *testing.T) {
	terminal := func(process document) { process["terminal"] = true }
	web := started(t, riverrun.CreateOptions{
		Config: config(t, terminal, "/bin/sh", "-c", "/bin/busybox stty size; read line; /bin/busybox stty size"),
		IO:     riverrun.IO{Rows: 31, Cols: 97},
	})
	first := initOf(t, web)
	console, err := first.Console()
	must(t, err)
	defer console.Close()
	must(t, console.SetReadDeadline(time.Now().Add(long)))
	screen := bufio.NewReader(console)
	find := func(wanted string) {
		t.Helper()
		for {
			line, err := screen.ReadString('\n')
			if strings.Contains(line, wanted) {
				return
			}
			must(t, err)
		}
	}
	find("31 97")
	must(t, first.Resize(40, 120))
	_, err = console.WriteString("\n")
	must(t, err)
	find("40 120")
}

// ---- further processes ----

func execHasItsOwnExit(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	process, err := web.Exec(background, riverrun.ExecOptions{Args: []string{"/bin/sh", "-c", "exit 4"}, IO: riverrun.NullIO})
	must(t, err)
	expect(t, wait(t, process).Code == 4)
	expect(t, state(t, web).Status == riverrun.Running)
}

func executedProcessIsSignalled(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	second, err := web.Exec(background, riverrun.ExecOptions{Args: []string{"/bin/sleep", "60"}, IO: riverrun.NullIO})
	must(t, err)
	expect(t, second.Pid() > 0 && second.Pid() != state(t, web).Pid)
	must(t, second.Signal(syscall.SIGKILL))
	expect(t, wait(t, second).Signal == syscall.SIGKILL && state(t, web).Status == riverrun.Running)
}

func execReadsItsInput(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	cat, err := web.Exec(background, riverrun.ExecOptions{Args: []string{"/bin/cat"}, IO: riverrun.IO{Stdin: riverrun.Pipe, Stdout: riverrun.Pipe, Stderr: riverrun.Null}})
	must(t, err)
	_, err = cat.Pipes.Stdin.WriteString("through")
	must(t, err)
	cat.Pipes.Stdin.Close()
	expect(t, all(t, cat.Pipes.Stdout) == "through")
	cat.Pipes.Close()
}

func execIntoAStoppedContainerIsRefused(t *testing.T) {
	web := run(t, "true", riverrun.NullIO)
	wait(t, initOf(t, web))
	_, err := web.Exec(background, riverrun.ExecOptions{Args: []string{"/bin/true"}, IO: riverrun.NullIO})
	refused(t, err, riverrun.ErrNotRunning)
}

func membersAreListed(t *testing.T) {
	web := run(t, "sleep 60 & sleep 60 & wait", riverrun.NullIO)
	for end := time.Now().Add(long); ; time.Sleep(10 * time.Millisecond) {
		pids, err := web.Pids()
		must(t, err)
		if len(pids) == 3 {
			found := false
			for _, pid := range pids {
				found = found || pid == state(t, web).Pid
			}
			expect(t, found, pids)
			return
		}
		expect(t, time.Now().Before(end), pids)
	}
}

func pidFileHoldsThePid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	web := started(t, riverrun.CreateOptions{Config: shell(t, "sleep 60"), IO: riverrun.NullIO, PidFile: path})
	text, err := os.ReadFile(path)
	must(t, err)
	expect(t, string(text) == strconv.Itoa(state(t, web).Pid), string(text))
}

// ---- the host ----

func logLinesArrive(t *testing.T) {
	odd := func(process document) {
		process["capabilities"].(document)["bounding"] = []string{"CAP_OF_NOBODY"}
	}
	started(t, riverrun.CreateOptions{Config: config(t, odd, "/bin/true"), IO: riverrun.NullIO})
	logMu.Lock()
	defer logMu.Unlock()
	expect(t, strings.Contains(strings.Join(lines, "\n"), "CAP_OF_NOBODY"), lines)
}

func pidfdIsReadableAtTheEnd(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	first := initOf(t, web)
	pidfd, err := first.Pidfd()
	must(t, err)
	defer pidfd.Close()
	var ready syscall.FdSet
	number := int(pidfd.Fd())
	look := func(limit syscall.Timeval) bool {
		ready.Bits[number/64] = 1 << (number % 64)
		n, _ := syscall.Select(number+1, &ready, nil, nil, &limit)
		return n == 1
	}
	expect(t, !look(syscall.Timeval{}))
	must(t, web.Kill(background, syscall.SIGKILL))
	for end := time.Now().Add(long); !look(syscall.Timeval{Sec: 1}); {
		expect(t, time.Now().Before(end))
	}
}

func handlesOutliveTheirContext(t *testing.T) {
	own, err := riverrun.New(riverrun.Options{Root: root})
	must(t, err)
	web, err := own.Run(background, fresh(), riverrun.CreateOptions{Config: shell(t, "sleep 60"), IO: riverrun.NullIO})
	must(t, err)
	first := initOf(t, web)
	own.Close()
	must(t, web.Delete(background, riverrun.DeleteForce))
	web.Close()
	expect(t, wait(t, first).Signal == syscall.SIGKILL)
}

func hostIsUntouched(t *testing.T) {
	host := func() string {
		status, err := os.ReadFile("/proc/self/status")
		must(t, err)
		var kept []string
		for _, line := range strings.Split(string(status), "\n") {
			for _, key := range []string{"SigIgn", "SigCgt", "Umask", "Cap", "NoNew"} {
				if strings.HasPrefix(line, key) {
					kept = append(kept, line)
				}
			}
		}
		here, err := os.Getwd()
		must(t, err)
		fds, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return strings.Join(append(kept, here, strconv.Itoa(len(fds))), "\n")
	}
	round := func() {
		web, err := rt.Run(background, fresh(), riverrun.CreateOptions{Config: shell(t, "true"), IO: riverrun.NullIO})
		must(t, err)
		must(t, web.Delete(background, riverrun.DeleteForce))
		web.Close()
	}
	round()
	before := host()
	for i := 0; i < 20; i++ {
		round()
	}
	expect(t, host() == before, before, host())
}

func namespaceIsOpened(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	file, err := web.Namespace(riverrun.UtsNamespace)
	must(t, err)
	defer file.Close()
	mine, err := os.Readlink("/proc/self/ns/uts")
	must(t, err)
	theirs, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
	must(t, err)
	expect(t, strings.HasPrefix(theirs, "uts:") && theirs != mine, theirs)
}

func cgroupIsOpened(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	directory, err := web.Cgroup()
	must(t, err)
	defer directory.Close()
	members, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d/cgroup.procs", directory.Fd()))
	must(t, err)
	expect(t, string(members) == fmt.Sprintf("%d\n", state(t, web).Pid), string(members))
}

func seccompListenerIsTaken(t *testing.T) {
	var asking document
	must(t, json.Unmarshal(shell(t, "sleep 60"), &asking))
	asking["linux"].(document)["seccomp"] = document{
		"defaultAction": "SCMP_ACT_ALLOW",
		"syscalls":      []document{{"names": []string{"swapon"}, "action": "SCMP_ACT_NOTIFY"}},
	}
	encoded, err := json.Marshal(asking)
	must(t, err)
	web := started(t, riverrun.CreateOptions{Config: encoded, IO: riverrun.NullIO, KeepSeccompListener: true})
	listener, err := web.TakeSeccompListener()
	must(t, err)
	defer listener.Close()
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", listener.Fd()))
	must(t, err)
	expect(t, strings.Contains(link, "seccomp notify"), link)
	_, err = web.TakeSeccompListener()
	expect(t, err != nil)
}

// ---- pause, limits, numbers, events ----

func pauseFreezesAndResumeThaws(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	must(t, web.Pause(background))
	expect(t, state(t, web).Status == riverrun.Paused)
	_, err := web.Exec(background, riverrun.ExecOptions{Args: []string{"/bin/true"}, IO: riverrun.NullIO})
	refused(t, err, riverrun.ErrPaused)
	must(t, web.Resume(background))
	expect(t, state(t, web).Status == riverrun.Running)
	process, err := web.Exec(background, riverrun.ExecOptions{Args: []string{"/bin/true"}, IO: riverrun.NullIO})
	must(t, err)
	expect(t, wait(t, process).Code == 0)
}

func stats(t *testing.T, web *riverrun.Container) riverrun.Stats {
	t.Helper()
	stats, err := web.Stats()
	must(t, err)
	return stats
}

func updateChangesALimit(t *testing.T) {
	web := run(t, "sleep 60", riverrun.NullIO)
	must(t, web.Update(background, json.RawMessage(`{"pids":{"limit":77}}`), riverrun.UpdateOptions{}))
	expect(t, stats(t, web).PidsLimit == 77)
}

func statsCountWhatRuns(t *testing.T) {
	web := run(t, "sleep 60 & wait", riverrun.NullIO)
	for end := time.Now().Add(long); stats(t, web).Pids != 2; time.Sleep(10 * time.Millisecond) {
		expect(t, time.Now().Before(end))
	}
	expect(t, stats(t, web).MemoryUsage > 0)
}

func statsDocumentIsTheCommandLines(t *testing.T) {
	bytes, err := run(t, "sleep 60", riverrun.NullIO).StatsDocument()
	must(t, err)
	var document struct {
		Pids   struct{ Current uint64 }
		Memory struct{ Usage struct{ Usage uint64 } }
	}
	must(t, json.Unmarshal(bytes, &document))
	expect(t, document.Pids.Current == 1 && document.Memory.Usage.Usage > 0, string(bytes))
}

// toTheEnd is every event of a stream, by type.
func toTheEnd(t *testing.T, stream *riverrun.EventStream) []riverrun.Event {
	t.Helper()
	defer stream.Close()
	ctx, cancel := context.WithTimeout(background, long)
	defer cancel()
	var all []riverrun.Event
	for len(all) == 0 || all[len(all)-1].Type != riverrun.EventEnd {
		event, err := stream.Next(ctx)
		must(t, err)
		all = append(all, event)
	}
	return all
}

func position(all []riverrun.Event, wanted riverrun.EventType) int {
	for i, event := range all {
		if event.Type == wanted {
			return i
		}
	}
	return -1
}

var withInput = riverrun.IO{Stdin: riverrun.Pipe, Stdout: riverrun.Null, Stderr: riverrun.Null}

func eventsEndWithExit(t *testing.T) {
	web := run(t, "read line; exit 6", withInput)
	stream, err := web.Events(riverrun.EventsOptions{})
	must(t, err)
	web.Pipes.Stdin.Close()
	all := toTheEnd(t, stream)
	at := position(all, riverrun.EventExit)
	expect(t, at >= 0 && all[at].Exit.Code == 6, all)
}

func eventsTellOutOfMemoryBeforeExit(t *testing.T) {
	var made document
	must(t, json.Unmarshal(shell(t, "read line; x=aaaaaaaa; while :; do x=$x$x; done"), &made))
	made["linux"].(document)["resources"] = document{"memory": document{"limit": 16 << 20, "swap": 16 << 20}}
	encoded, err := json.Marshal(made)
	must(t, err)
	web := started(t, riverrun.CreateOptions{Config: encoded, IO: withInput})
	stream, err := web.Events(riverrun.EventsOptions{})
	must(t, err)
	_, err = web.Pipes.Stdin.WriteString("\n")
	must(t, err)
	all := toTheEnd(t, stream)
	kill, exit := position(all, riverrun.EventOOMKill), position(all, riverrun.EventExit)
	expect(t, kill >= 0 && kill < exit, all)
}

func eventsOfManyInOneLoop(t *testing.T) {
	exits := make(chan int, 5)
	for i := 0; i < 5; i++ {
		web := run(t, "read line; exit 3", withInput)
		stream, err := web.Events(riverrun.EventsOptions{})
		must(t, err)
		go func() {
			defer stream.Close()
			for {
				event, err := stream.Next(background)
				if err != nil || event.Type == riverrun.EventEnd {
					return
				}
				if event.Type == riverrun.EventExit {
					exits <- event.Exit.Code
				}
			}
		}()
		web.Pipes.Stdin.Close()
	}
	for i := 0; i < 5; i++ {
		select {
		case code := <-exits:
			expect(t, code == 3, code)
		case <-time.After(long):
			t.Fatal("no exit was told")
		}
	}
}

// checkpointedContainerGoesOn: it counts on its standard output, is files for a while, and counts on.
func checkpointedContainerGoesOn(t *testing.T) {
	criu := os.Getenv("CRIU")
	if criu == "" {
		fmt.Println("skipped: checkpointed_container_goes_on: no CRIU that starts here")
		return
	}
	next := numbers(t)
	images, program := t.TempDir(), riverrun.CRIUOptions{Program: criu}
	piped := riverrun.NullIO
	piped.Stdout = riverrun.Pipe
	options := riverrun.CreateOptions{Config: shell(t, "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"), IO: piped}
	ctx, cancel := context.WithTimeout(background, long)
	defer cancel()
	web := started(t, options)
	before := bufio.NewScanner(web.Pipes.Stdout)
	for next(before) < 3 {
	}
	refused(t, web.Checkpoint(ctx, riverrun.CheckpointOptions{}), riverrun.ErrInvalidArgument)
	ended, end := context.WithCancel(background)
	end()
	refused(t, web.Checkpoint(ended, riverrun.CheckpointOptions{Images: riverrun.Directory{Path: images}}), riverrun.ErrCancelled)
	must(t, web.Checkpoint(ctx, riverrun.CheckpointOptions{
		Images: riverrun.Directory{Path: images}, LeaveRunning: true, CRIU: program}))
	expect(t, state(t, web).Status == riverrun.Running)
	seen := next(before)
	open, err := os.Open(images)
	must(t, err)
	defer open.Close()
	must(t, web.Checkpoint(ctx, riverrun.CheckpointOptions{Images: riverrun.Directory{File: open}, CRIU: program}))
	expect(t, state(t, web).Status == riverrun.Stopped)
	again, err := rt.Restore(ctx, fresh(), options, riverrun.RestoreOptions{Images: riverrun.Directory{File: open}, CRIU: program})
	must(t, err)
	defer func() {
		must(t, again.Delete(background, riverrun.DeleteForce))
		again.Pipes.Close()
	}()
	expect(t, state(t, again).Status == riverrun.Running)
	after := next(bufio.NewScanner(again.Pipes.Stdout))
	expect(t, after > seen, after, seen)
}

// numbers is a reader of what a counting container says.
func numbers(t *testing.T) func(*bufio.Scanner) int {
	return func(lines *bufio.Scanner) int {
		expect(t, lines.Scan(), lines.Err())
		number, err := strconv.Atoi(lines.Text())
		must(t, err)
		return number
	}
}

// pair is the two ends of a connection.
func pair(t *testing.T) (here, there *os.File) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(t, err)
	return os.NewFile(uintptr(ends[0]), "here"), os.NewFile(uintptr(ends[1]), "there")
}

// migratedContainerGoesOn: the other host is a runtime with a state root of its own.
func migratedContainerGoesOn(t *testing.T) {
	criu := os.Getenv("CRIU")
	if criu == "" {
		fmt.Println("skipped: migrated_container_goes_on: no CRIU that starts here")
		return
	}
	next := numbers(t)
	piped := riverrun.NullIO
	piped.Stdout = riverrun.Pipe
	ctx, cancel := context.WithTimeout(background, long)
	defer cancel()
	web, err := rt.Run(ctx, fresh(), riverrun.CreateOptions{Config: shell(t, "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"), IO: piped})
	must(t, err)
	before := bufio.NewScanner(web.Pipes.Stdout)
	for next(before) < 3 {
	}
	seen := next(before)
	other, err := riverrun.New(riverrun.Options{Root: root + "-there"})
	must(t, err)
	defer other.Close()
	here, there := pair(t)
	defer here.Close()
	defer there.Close()
	var steps []riverrun.MigrationStep
	var migrated riverrun.Migrated
	sent := make(chan error, 1)
	go func() {
		var err error
		migrated, err = web.Migrate(ctx, here, riverrun.MigrateOptions{
			CRIU:     riverrun.CRIUOptions{Program: criu},
			Progress: func(event riverrun.MigrationEvent) { steps = append(steps, event.Step) },
		})
		sent <- err
	}()
	again, err := other.Receive(ctx, there, fresh(), riverrun.CreateOptions{IO: piped}, riverrun.ReceiveOptions{Program: criu})
	must(t, err)
	defer func() {
		must(t, again.Delete(background, riverrun.DeleteForce))
		again.Pipes.Close()
	}()
	must(t, <-sent)
	expect(t, state(t, again).Pid == migrated.Pid && migrated.Downtime > 0, migrated)
	expect(t, len(steps) > 2 && steps[0] == riverrun.MigrationAccepted && steps[len(steps)-1] == riverrun.MigrationRestored, steps)
	after := next(bufio.NewScanner(again.Pipes.Stdout))
	expect(t, after > seen, after, seen)
	_, err = web.State()
	refused(t, err, riverrun.ErrNotFound)
	web.Pipes.Close()
}

// migrationToNobodyLeavesItRunning: the connection has no other end any more.
func migrationToNobodyLeavesItRunning(t *testing.T) {
	web := started(t, riverrun.CreateOptions{Config: shell(t, "sleep 60"), IO: riverrun.NullIO})
	here, there := pair(t)
	defer here.Close()
	must(t, there.Close())
	_, err := web.Migrate(background, here, riverrun.MigrateOptions{})
	expect(t, err != nil && state(t, web).Status == riverrun.Running, err)
}

// readinessIsHeard: a message to the socket that the container sees, from outside.
func readinessIsHeard(t *testing.T) {
	web, err := rt.Create(background, fresh(), riverrun.CreateOptions{Config: shell(t, "sleep 60"), IO: riverrun.NullIO, Notify: true})
	must(t, err)
	defer web.Delete(background, riverrun.DeleteForce)
	heard, err := web.NotifySocket()
	must(t, err)
	defer heard.Close()
	must(t, web.Start(background))
	path := fmt.Sprintf("/proc/%d/root/run/notify/notify.sock", initOf(t, web).Pid())
	program, err := net.Dial("unixgram", path)
	must(t, err)
	defer program.Close()
	_, err = program.Write([]byte("READY=1"))
	must(t, err)
	message := make([]byte, 64)
	n, err := heard.Read(message)
	must(t, err)
	expect(t, string(message[:n]) == "READY=1", string(message[:n]))
	_, err = run(t, "sleep 60", riverrun.NullIO).NotifySocket()
	refused(t, err, riverrun.ErrUnsupported)
}
