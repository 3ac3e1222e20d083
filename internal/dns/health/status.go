package health

import (
	"strconv"
	"strings"
)

// statuses are the codes that pass, as ranges of two.
type statuses [][2]int

// parseStatuses reads 200-399,401. It returns false for what is not of that
// form.
func parseStatuses(text string) (statuses, bool) {
	var s statuses
	for part := range strings.SplitSeq(text, ",") {
		low, high, ok := strings.Cut(strings.TrimSpace(part), "-")
		if !ok {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || from < 100 || to > 999 || from > to {
			return nil, false
		}
		s = append(s, [2]int{from, to})
	}
	return s, true
}

func (s statuses) contain(code int) bool {
	for _, r := range s {
		if code >= r[0] && code <= r[1] {
			return true
		}
	}
	return false
}
