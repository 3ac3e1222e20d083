package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const output = `{"config":{"protocol_version":"v1.0.0"}}
{"finding":{"osv":"GO-1","fixed_version":"v0.62.0","trace":[{"module":"golang.org/x/net","version":"v0.61.0"}]}}
{"finding":{"osv":"GO-1","fixed_version":"v0.62.0","trace":[{"module":"golang.org/x/net","version":"v0.61.0","package":"golang.org/x/net/html"}]}}
{"finding":{"osv":"GO-2","trace":[{"module":"example.org/m","version":"v1.0.0","package":"example.org/m"}]}}
{"finding":{"osv":"GO-2","trace":[{"module":"example.org/m","version":"v1.0.0","package":"example.org/m"}]}}
{"finding":{"osv":"GO-3","trace":[{"module":"stdlib","version":"v1.26.8","package":"net/http"}]}}
{"finding":{"osv":"GO-4","trace":[{"module":"example.org/unlinked","version":"v1.0.0"}]}}
`

func TestJudge(t *testing.T) {
	found, err := read(strings.NewReader(output))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		accepted map[string]string
		fails    bool
		says     []string
	}{
		{"nothing is accepted", nil, true, []string{"GO-1, fixed in v0.62.0", "GO-2, no version", "1 known vulnerabilities"}},
		{"one is not", map[string]string{"GO-2": "no reason"}, true, []string{"GO-1"}},
		{"all are accepted", map[string]string{"GO-1": "a reason", "GO-2": "another"}, false, []string{"1 known vulnerabilities"}},
		{"one is accepted and gone", map[string]string{"GO-1": "a reason", "GO-2": "another", "GO-4": "a third"}, true, []string{"GO-4 is accepted and was not found"}},
	} {
		var out strings.Builder
		err := judge(&out, found, c.accepted)
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, s := range c.says {
			if !strings.Contains(out.String(), s) {
				t.Errorf("%s: no %q in:\n%s", c.name, s, out.String())
			}
		}
	}
	if _, err := read(strings.NewReader(output[:len(output)-5])); err == nil {
		t.Error("half an output is read as a whole one")
	}
}

// TestCopy: the copy in the tree is a database that is not empty.
func TestCopy(t *testing.T) {
	dir, version, err := expand()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	entries, err := filepath.Glob(filepath.Join(dir, "ID", "GO-*.json"))
	if err != nil || len(entries) < 100 || !strings.HasPrefix(version, "v0.") {
		t.Errorf("%d entries of version %q: %v", len(entries), version, err)
	}
	index, err := os.ReadFile(filepath.Join(dir, "index", "modules.json"))
	if err != nil || !strings.Contains(string(index), `"k8s.io/kubernetes"`) || !strings.Contains(string(index), `"stdlib"`) {
		t.Errorf("its index: %v", err)
	}
}

func TestAcceptedHaveReasons(t *testing.T) {
	accepted, err := readAccepted()
	if err != nil {
		t.Fatal(err)
	}
	for id, reason := range accepted {
		if len(reason) < 40 {
			t.Errorf("%s is accepted because %q", id, reason)
		}
	}
}
