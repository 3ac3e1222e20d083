// Package guard turns a panic into an error, so that the data of one member
// cannot end the process that serves all of them.
//
// It belongs at the root of a goroutine that handles one member's data: whoever
// runs that goroutine then does what it does after any other error: it says so,
// waits, and begins again with nothing of what the panic may have left half done.
// What the Go runtime itself ends a process for (memory that is used up, a map
// written by two at once) is no panic, and not caught.
package guard

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// maxText bounds what a panic's value may add to logs and conditions: it may
// hold what a member sent.
const maxText = 300

// Panic is what became of a panic.
type Panic struct {
	// Value is what panic was called with.
	Value any
	// Stack is that of the goroutine, for the log.
	Stack []byte
}

// Error is one line, and not endless.
func (p *Panic) Error() string {
	text := strings.Join(strings.Fields(fmt.Sprint(p.Value)), " ")
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return "a fault in Hanse: " + text
}

// Unwrap is the error that panic was called with, if it was one.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Run calls f and returns its error, or a *Panic if it did not return. It
// guards the goroutine that it is called in, and none that f starts.
func Run(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &Panic{Value: value, Stack: debug.Stack()}
		}
	}()
	return f()
}

// counterKey is the key of who counts panics.
type counterKey struct{}

// WithCounter returns a context with which Count calls counter, which must not block.
func WithCounter(ctx context.Context, counter func(component string)) context.Context {
	return context.WithValue(ctx, counterKey{}, counter)
}

// Count tells who counts panics, if ctx has somebody who does, that there was one. The component is a constant of the
// caller's. It is called where a panic is logged, so once for each.
func Count(ctx context.Context, component string) {
	if counter, ok := ctx.Value(counterKey{}).(func(string)); ok {
		counter(component)
	}
}

// RunCounted is Run for what is not counted elsewhere: a panic is told to Count.
func RunCounted(ctx context.Context, component string, f func() error) error {
	err := Run(f)
	if Stack(err) != nil {
		Count(ctx, component)
	}
	return err
}

// Stack is the stack of the panic that err comes from, nil if it comes from none.
func Stack(err error) []byte {
	var p *Panic
	if errors.As(err, &p) {
		return p.Stack
	}
	return nil
}
