package trouble

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"k8s.io/klog/v2/textlogger"
)

func TestOneLineForEachChange(t *testing.T) {
	var out bytes.Buffer
	log := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&out)))
	var l Log[string]
	l.Worked(log, "a", "Written again")
	for range 100 {
		l.Failed(log, "a", io.ErrUnexpectedEOF, "Not written", "object", "a")
		l.Failed(log, "b", errors.New("other"), "Not written", "object", "b")
	}
	l.Worked(log, "a", "Written again", "object", "a")
	l.Worked(log, "a", "Written again", "object", "a")
	l.Failed(log, "a", io.EOF, "Not written", "object", "a")
	var got []string
	for line := range strings.Lines(out.String()) {
		_, text, _ := strings.Cut(line, "] ")
		got = append(got, strings.TrimSpace(line[:1]+" "+text))
	}
	want := []string{
		`E "Not written" err="unexpected EOF" object="a"`,
		`E "Not written" err="other" object="b"`,
		`I "Written again" object="a" failedAttempts=100`,
		`E "Not written" err="EOF" object="a"`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestForgotten(t *testing.T) {
	var l Log[int]
	l.Failed(textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(io.Discard))), 1, io.EOF, "x")
	if l.Forget(1) != 1 || l.Forget(1) != 0 || len(l.failing) != 0 {
		t.Error("remembered")
	}
}

func TestAttemptsAreThereForThoseWhoLook(t *testing.T) {
	var out bytes.Buffer
	log := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&out), textlogger.Verbosity(2)))
	var l Log[int]
	for range 3 {
		l.Failed(log, 1, io.EOF, "x")
	}
	if n := strings.Count(out.String(), "\n"); n != 3 || !strings.Contains(out.String(), "attempts=3") {
		t.Error(out.String())
	}
}
