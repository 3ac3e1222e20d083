package member

import (
	"strings"
	"testing"
)

func TestFieldsThatAreChangedBackAreFew(t *testing.T) {
	patch := map[string]any{}
	for _, name := range strings.Split("abcdefghij", "") {
		patch[name] = "x"
	}
	if got := changedBack(map[string]any{"data": map[string]any{"k": "v"}}); got != "data.k reverted" {
		t.Errorf("%q", got)
	}
	if got := changedBack(patch); !strings.HasSuffix(got, " and 5 more fields reverted") {
		t.Errorf("%q", got)
	}
}
