package runc

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// logFile is the file of Runc.Log, in the format that runc writes and its callers read errors from.
type logFile struct {
	format Format
	mu     sync.Mutex
	file   *os.File
}

func (r *Runc) openLog() (*logFile, error) {
	log := &logFile{format: r.LogFormat}
	if r.Log == "" {
		return log, nil
	}
	var err error
	log.file, err = os.OpenFile(r.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	return log, err
}

func (l *logFile) level(debug bool) riverrun.Level {
	if debug {
		return riverrun.LogDebug
	}
	return riverrun.LogInfo
}

func (l *logFile) line(level riverrun.Level, text string, _ json.RawMessage) {
	if l.file == nil {
		return
	}
	name := map[riverrun.Level]string{
		riverrun.LogError: "error", riverrun.LogWarn: "warning", riverrun.LogInfo: "info", riverrun.LogDebug: "debug",
	}[level]
	now := time.Now().Format(time.RFC3339)
	line := fmt.Sprintf("time=%q level=%s msg=%q\n", now, name, text)
	if l.format == JSON {
		encoded, _ := json.Marshal(map[string]string{"level": name, "msg": text, "time": now})
		line = string(encoded) + "\n"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.file.WriteString(line)
}

func (l *logFile) close() {
	if l.file != nil {
		l.file.Close()
	}
}
