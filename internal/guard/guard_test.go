package guard

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// rubbish panics with a name that a reader can look for in the stack.
func rubbish(m map[string]int) error {
	m["a"]++
	return nil
}

func TestAPanicBecomesAnError(t *testing.T) {
	err := Run(func() error { return rubbish(nil) })
	var p *Panic
	if !errors.As(err, &p) {
		t.Fatalf("%v (%T), want a *Panic", err, err)
	}
	if !strings.Contains(err.Error(), "nil map") {
		t.Errorf("%q does not say what happened", err)
	}
	if !strings.Contains(string(Stack(err)), "rubbish") {
		t.Errorf("the stack does not say where:\n%s", Stack(err))
	}
}

func TestOtherErrorsPass(t *testing.T) {
	if err := Run(func() error { return io.EOF }); err != io.EOF {
		t.Errorf("%v, want EOF", err)
	}
	if err := Run(func() error { return nil }); err != nil {
		t.Error(err)
	}
	if stack := Stack(io.EOF); stack != nil {
		t.Errorf("a stack of no panic: %s", stack)
	}
}

func TestThePanicsOwnErrorIsFound(t *testing.T) {
	if err := Run(func() error { panic(io.ErrUnexpectedEOF) }); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v is not the error that was thrown", err)
	}
}

// A value that does not want to be printed must not undo the recovery.
type hostile struct{}

func (hostile) Error() string { panic("never") }

func TestEveryValueIsOneShortLine(t *testing.T) {
	for _, value := range []any{strings.Repeat("ä\n", 1<<20), hostile{}, nil, []byte{0xff, 0xfe}, (*strings.Builder)(nil)} {
		text := Run(func() error { panic(value) }).Error()
		if len(text) > 2*maxText || strings.Contains(text, "\n") || !utf8.ValidString(text) {
			t.Errorf("%d bytes: %.100q", len(text), text)
		}
	}
}

func TestCount(t *testing.T) {
	counted := map[string]int{}
	ctx := WithCounter(t.Context(), func(component string) { counted[component]++ })
	Count(ctx, "fleet")
	Count(ctx, "fleet")
	Count(ctx, "dns")
	Count(t.Context(), "dns") // nobody counts
	if counted["fleet"] != 2 || counted["dns"] != 1 {
		t.Error(counted)
	}
}
