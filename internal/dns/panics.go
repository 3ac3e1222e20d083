package dns

import (
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	// crashRest and crashRestMost are the pauses before what has panicked begins
	// again: what made it panic is probably still there.
	crashRest     = time.Second
	crashRestMost = time.Minute
)

// telling says whether the nth of a row of panics is worth a line with its stack: the first, second, fourth, eighth, …
func telling(n int) bool { return n&(n-1) == 0 }

// crashes counts panics by member.
type crashes struct {
	mu sync.Mutex
	by map[string]int
}

func (c *crashes) count(member string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string]int{}
	}
	c.by[member]++
	return c.by[member]
}

// counts is a copy.
func (c *crashes) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]int, len(c.by))
	for k, n := range c.by {
		all[k] = n
	}
	return all
}

// briefly is how much of what others say goes into a status or an event.
const briefly = 200

// brief is text of others in one line of bounded length, without what terminals
// take for commands.
func brief(text string) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > briefly {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
