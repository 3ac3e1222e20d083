package app

import "testing"

func TestMemoryIsGivenBackWhenIdle(t *testing.T) {
	const mib = 1 << 20
	fresh := memory{allocated: 500 * mib, live: 180 * mib, inUse: 190 * mib, unused: 10 * mib, total: 300 * mib}
	for name, c := range map[string]struct {
		now  memory
		want bool
	}{
		"nothing to give":        {memory{allocated: 505 * mib, live: 180 * mib, inUse: 195 * mib, unused: 10 * mib, total: 300 * mib}, false},
		"garbage":                {memory{allocated: 570 * mib, live: 180 * mib, inUse: 260 * mib, unused: 10 * mib, total: 370 * mib}, true},
		"free, but not returned": {memory{allocated: 501 * mib, live: 180 * mib, inUse: 181 * mib, unused: 200 * mib, total: 490 * mib}, true},
		"busy":                   {memory{allocated: 900 * mib, live: 180 * mib, inUse: 500 * mib, unused: 10 * mib, total: 700 * mib}, false},
		"more live than in use":  {memory{allocated: 501 * mib, live: 300 * mib, inUse: 100 * mib, unused: 10 * mib, total: 490 * mib}, false},
	} {
		if got := returnable(fresh, c.now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheRuntimeKnowsWhatIsRead(t *testing.T) {
	m := readMemory()
	if m.allocated == 0 || m.inUse == 0 || m.total == 0 || m.total < m.inUse {
		t.Errorf("%+v", m)
	}
}
