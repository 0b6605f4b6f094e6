package runc

import (
	"github.com/containerd/go-runc"
	"golang.org/x/sys/unix"
)

// Runc has the fields of go-runc's. What is about a program that is spawned (Command, PdeathSignal, Setpgid) has no meaning here:
// the library is called in this process.
type Runc struct {
	Command string
	// Root is the state root; empty: /run/riverrun, or the user's own.
	Root string
	// Debug lets debug lines into Log.
	Debug bool
	// Log is a file that lines are appended to, and errors as well.
	Log          string
	LogFormat    Format
	PdeathSignal unix.Signal
	Setpgid      bool
	// Criu is CRIU's program; empty: the first criu in PATH.
	Criu          string
	SystemdCgroup bool
	Rootless      *bool // nil stands for "auto"
}

// The types of go-runc, so that what else uses them goes on using them.
type (
	BlkioEntry       = runc.BlkioEntry
	Blkio            = runc.Blkio
	CgroupMode       = runc.CgroupMode
	CheckpointAction = runc.CheckpointAction
	CheckpointOpts   = runc.CheckpointOpts
	ConsoleSocket    = runc.ConsoleSocket
	Container        = runc.Container
	Cpu              = runc.Cpu
	CpuUsage         = runc.CpuUsage
	CreateOpts       = runc.CreateOpts
	DeleteOpts       = runc.DeleteOpts
	Event            = runc.Event
	ExecOpts         = runc.ExecOpts
	Exit             = runc.Exit
	ExitError        = runc.ExitError
	Format           = runc.Format
	Hugetlb          = runc.Hugetlb
	IO               = runc.IO
	IOOpt            = runc.IOOpt
	IOOption         = runc.IOOption
	KillOpts         = runc.KillOpts
	Memory           = runc.Memory
	MemoryEntry      = runc.MemoryEntry
	Pids             = runc.Pids
	RestoreOpts      = runc.RestoreOpts
	Socket           = runc.Socket
	StartCloser      = runc.StartCloser
	Stats            = runc.Stats
	Throttling       = runc.Throttling
	TopResults       = runc.TopResults
	Version          = runc.Version
)

// The constants of go-runc.
const (
	JSON           = runc.JSON
	Text           = runc.Text
	Soft           = runc.Soft
	Full           = runc.Full
	Strict         = runc.Strict
	DefaultCommand = runc.DefaultCommand
)

// The functions of go-runc that spawn nothing.
var (
	LeaveRunning         = runc.LeaveRunning
	NewConsoleSocket     = runc.NewConsoleSocket
	NewNullIO            = runc.NewNullIO
	NewPipeIO            = runc.NewPipeIO
	NewSTDIO             = runc.NewSTDIO
	NewTempConsoleSocket = runc.NewTempConsoleSocket
	ParsePSOutput        = runc.ParsePSOutput
	PreDump              = runc.PreDump
	ReadPidFile          = runc.ReadPidFile
)
