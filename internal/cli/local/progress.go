package local

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
	"k8s.io/utils/clock"
)

// spinnerInterval is fast enough to look alive and slow enough to cost nothing.
const spinnerInterval = 120 * time.Millisecond

// progress shows phases that may overlap: on a terminal a spinner with what is
// going on, elsewhere a line for each that begins, and everywhere a line for each
// that has ended, with its seconds.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	now      clock.PassiveClock
	terminal bool
	color    bool
	running  []string
	frame    int
	stop     chan struct{}
}

// newProgress writes to w. NO_COLOR is obeyed.
func newProgress(w io.Writer, now clock.PassiveClock) *progress {
	f, ok := w.(*os.File)
	p := &progress{w: w, now: now, terminal: ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"}
	p.color = p.terminal && os.Getenv("NO_COLOR") == ""
	return p
}

// begin shows that a phase has started; the function that it returns shows that
// it has ended, and how.
func (p *progress) begin(phase string) (end func(error)) {
	started := p.now.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = append(p.running, phase)
	if !p.terminal {
		fmt.Fprintf(p.w, " • %s …\n", phase)
	} else if p.stop == nil {
		p.stop = make(chan struct{})
		go p.spin(p.stop)
	}
	return func(err error) { p.end(phase, p.now.Since(started), err) }
}

func (p *progress) end(phase string, took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, r := range p.running {
		if r == phase {
			p.running = append(p.running[:i], p.running[i+1:]...)
			break
		}
	}
	mark := p.paint("32", "✓")
	if err != nil {
		mark = p.paint("31", "✗")
	}
	p.clear()
	fmt.Fprintf(p.w, " %s %-20s %6.1f s\n", mark, phase, took.Seconds())
	if len(p.running) == 0 && p.stop != nil {
		close(p.stop)
		p.stop = nil
	}
}

func (p *progress) spin(stop <-chan struct{}) {
	ticker := time.NewTicker(spinnerInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			p.draw(stop)
		}
	}
}

func (p *progress) draw(stop <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != stop {
		return // ended meanwhile
	}
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	p.frame = (p.frame + 1) % len(frames)
	p.clear()
	fmt.Fprintf(p.w, " %c %s", frames[p.frame], strings.Join(p.running, ", "))
}

// clear takes the spinner's line away.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.w, "\r\033[K")
	}
}

func (p *progress) paint(color, s string) string {
	if !p.color {
		return s
	}
	return "\033[" + color + "m" + s + "\033[0m"
}
