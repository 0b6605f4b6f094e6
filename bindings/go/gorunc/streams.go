package runc

import (
	"io"
	"os"
	"os/exec"
	"sync"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// streams are what an IO gives to a process. An IO sets them on a command, which here is never run.
type streams struct {
	io     riverrun.IO
	in     io.Reader // what is no file is moved through a pipe
	out    io.Writer
	err    io.Writer
	moving sync.WaitGroup
}

func lend(from IO, console ConsoleSocket) *streams {
	s := &streams{io: riverrun.NullIO}
	if console != nil {
		s.io.ConsoleSocket = console.Path()
	}
	if from == nil {
		return s
	}
	var set exec.Cmd
	from.Set(&set)
	if set.Stdin != nil {
		if s.io.Stdin = stream(set.Stdin); s.io.Stdin == riverrun.Pipe {
			s.in = set.Stdin
		}
	}
	if set.Stdout != nil {
		if s.io.Stdout = stream(set.Stdout); s.io.Stdout == riverrun.Pipe {
			s.out = set.Stdout
		}
	}
	if set.Stderr != nil {
		if s.io.Stderr = stream(set.Stderr); s.io.Stderr == riverrun.Pipe {
			s.err = set.Stderr
		}
	}
	return s
}

// stream is a file itself, and a pipe for what is none.
func stream(end any) riverrun.Stream {
	file, ok := end.(*os.File)
	if !ok {
		return riverrun.Pipe
	}
	file.Fd() // Makes it a blocking one, as programs expect.
	return riverrun.File(file)
}

// extras are further files, from 3 on.
func (s *streams) extras(files []*os.File) error {
	if len(files) > 0 {
		s.io.Files = map[int]*os.File{}
	}
	for i, file := range files {
		s.io.Files[3+i] = file
	}
	return nil
}

// taken is called when the process has its streams.
func (s *streams) taken(from IO, pipes riverrun.Pipes) error {
	if s.in != nil {
		go func() {
			_, _ = io.Copy(pipes.Stdin, s.in)
			pipes.Stdin.Close()
		}()
	}
	s.move(s.out, pipes.Stdout)
	s.move(s.err, pipes.Stderr)
	if closer, ok := from.(StartCloser); ok {
		return closer.CloseAfterStart()
	}
	return nil
}

func (s *streams) move(to io.Writer, from *os.File) {
	if to == nil {
		return
	}
	s.moving.Add(1)
	go func() {
		defer s.moving.Done()
		_, _ = io.Copy(to, from)
		from.Close()
	}()
}

// moved waits until all output has been moved.
func (s *streams) moved() { s.moving.Wait() }
