package join

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKubeconfigErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct{ path, context, want string }{
		"missing":    {filepath.Join(dir, "nope"), "", "there is no file"},
		"garbage":    {write("garbage", "{{{"), "", "cannot be read as a kubeconfig"},
		"empty":      {write("empty", ""), "", "no contexts"},
		"no current": {write("two", "{contexts: [{name: a, context: {}}, {name: b, context: {}}]}"), "", "one of a, b"},
		"unknown":    {write("one", "{contexts: [{name: a, context: {}}]}"), "x", `no context "x"`},
		"no cluster": {write("dangling", "{contexts: [{name: a, context: {cluster: gone}}]}"), "a", "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadKubeconfig(c.path, c.context)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Try: ") {
				t.Errorf("unexpected error: %v", err)
			}
		})
	}
}
