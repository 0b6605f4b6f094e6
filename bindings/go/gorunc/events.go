package runc

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// Stats are what the kernel counts for a container.
func (r *Runc) Stats(_ context.Context, id string) (stats *Stats, err error) {
	return stats, r.on(id, func(container *riverrun.Container) error {
		document, err := container.StatsDocument()
		if err != nil {
			return err
		}
		stats = &Stats{}
		return json.Unmarshal(document, stats)
	})
}

// Events are a "stats" every interval and an "oom" whenever memory runs out, until the container ends or the context does; then the
// channel is closed. An "error" has Err.
func (r *Runc) Events(ctx context.Context, id string, interval time.Duration) (chan *Event, error) {
	if interval < time.Second {
		return nil, errors.New("duration interval must be greater than 0")
	}
	var stream *riverrun.EventStream
	err := r.on(id, func(container *riverrun.Container) (err error) {
		options := riverrun.EventsOptions{StatsInterval: interval.Truncate(time.Second), OOM: true}
		if stream, err = container.Events(options); errors.Is(err, riverrun.ErrCgroup) {
			options.OOM = false // Its memory is not counted.
			stream, err = container.Events(options)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	events := make(chan *Event, 128)
	go func() {
		defer close(events)
		defer stream.Close()
		for {
			told, err := stream.Next(ctx)
			if err != nil {
				if ctx.Err() == nil {
					events <- &Event{Type: "error", ID: id, Err: err}
				}
				return
			}
			event := &Event{ID: id}
			switch told.Type {
			case riverrun.EventEnd:
				return
			case riverrun.EventOOM:
				event.Type = "oom"
			case riverrun.EventStats:
				event.Type, event.Stats = "stats", &Stats{}
				if err := json.Unmarshal(told.Stats, event.Stats); err != nil {
					event.Type, event.Stats, event.Err = "error", nil, err
				}
			default:
				continue
			}
			select {
			case events <- event:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events, nil
}
