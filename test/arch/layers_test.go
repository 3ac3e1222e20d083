package arch

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hanse-dev/hanse"

// layers is the diagram: package to line, counted from the top.
type layers map[string]int

// parseLayers reads the block ```layers of a Markdown file.
func parseLayers(markdown string) (layers, error) {
	_, rest, ok := strings.Cut(markdown, "```layers\n")
	block, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		return nil, fmt.Errorf("there is no block ```layers")
	}
	l := layers{}
	for i, line := range strings.Split(strings.TrimSpace(block), "\n") {
		for _, name := range strings.Fields(line) {
			if _, twice := l[name]; twice {
				return nil, fmt.Errorf("%s is in the diagram twice", name)
			}
			l[name] = i
		}
	}
	return l, nil
}

// check says which imports go against the diagram. Imports are by package, both
// relative to the module; main is the module itself.
func (l layers) check(imports map[string][]string) []string {
	var wrong []string
	for from, tos := range imports {
		line, ok := l[from]
		if !ok {
			wrong = append(wrong, from+" is not in the diagram of docs/ARCHITECTURE.md")
			continue
		}
		for _, to := range tos {
			if below, ok := l[to]; ok && below <= line {
				wrong = append(wrong, fmt.Sprintf("%s imports %s, which is not below it", from, to))
			}
		}
	}
	for name := range l {
		if _, ok := imports[name]; !ok {
			wrong = append(wrong, name+" is in the diagram of docs/ARCHITECTURE.md, but not there")
		}
	}
	slices.Sort(wrong)
	return wrong
}

func TestLayers(t *testing.T) {
	l, err := parseLayers(readFile(t, "../../docs/ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string][]string{}
	for _, p := range listPackages(t) {
		if strings.HasPrefix(p.name, "test/") {
			continue // tests may look at everything
		}
		imports[p.name] = p.imports
	}
	for _, w := range l.check(imports) {
		t.Error(w)
	}
}

// TestLayersFixture shows that the check fails on each way to be wrong.
func TestLayersFixture(t *testing.T) {
	l, err := parseLayers(readFile(t, "testdata/layers.md"))
	if err != nil {
		t.Fatal(err)
	}
	got := l.check(map[string][]string{
		"main":     {"top"},
		"top":      {"left", "bottom"},
		"left":     {"right"},
		"right":    {"bottom"},
		"bottom":   {"top"},
		"nowhere":  nil,
		"external": nil,
	})
	want := []string{
		"bottom imports top, which is not below it",
		"external is not in the diagram of docs/ARCHITECTURE.md",
		"gone is in the diagram of docs/ARCHITECTURE.md, but not there",
		"left imports right, which is not below it",
		"nowhere is not in the diagram of docs/ARCHITECTURE.md",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s", strings.Join(got, "\n"))
	}
	for _, bad := range []string{"", "```layers\na\nb", "```layers\na b\na\n```"} {
		if _, err := parseLayers(bad); err == nil {
			t.Errorf("parsed: %q", bad)
		}
	}
}

// denied are imports that a package must not have, directly or through others
// of its own.
func denied() []struct{ packages, prefix, reason string } {
	pure := "internal/schedule internal/schedule/constraints internal/schedule/apportion internal/aggregate internal/fieldmerge internal/lineage internal/kinds"
	light := pure + " internal/fleet internal/propagate internal/placement internal/demo internal/localcluster internal/kubeconfig internal/pki internal/process api/v1alpha1 " +
		"internal/cli internal/cli/members internal/cli/workloads internal/cli/globaldns internal/cli/local internal/cli/hub internal/cli/output internal/cli/args"
	return []struct{ packages, prefix, reason string }{
		{pure, "k8s.io/client-go", "it is pure: it talks to nobody"},
		{pure, "net/http", "it is pure: it talks to nobody"},
		{pure, "os", "it is pure: it reads nothing"},
		{"internal/process internal/pki", "k8s.io/", "it is a leaf that knows nothing of Kubernetes"},
		{light, "k8s.io/kubernetes", "its unit tests would take half a minute to link"},
	}
}

func TestDenied(t *testing.T) {
	packages := listPackages(t)
	for _, d := range denied() {
		for _, name := range strings.Fields(d.packages) {
			i := slices.IndexFunc(packages, func(p goPackage) bool { return p.name == name })
			if i < 0 {
				t.Errorf("%s is not there", name)
				continue
			}
			for _, w := range deniedImports(packages[i], d.prefix) {
				t.Errorf("%s must not import %s: %s", name, w, d.reason)
			}
		}
	}
}

// deniedImports are the imports of p, not all that they lead to, below a
// prefix; for Kubernetes' own module all that they lead to.
func deniedImports(p goPackage, prefix string) []string {
	in := p.direct
	if prefix == "k8s.io/kubernetes" {
		in = p.deps
	}
	var found []string
	for _, i := range in {
		if i == prefix || strings.HasPrefix(i, strings.TrimSuffix(prefix, "/")+"/") {
			found = append(found, i)
		}
	}
	return found
}

func TestDeniedFixture(t *testing.T) {
	p := goPackage{direct: []string{"os/exec", "k8s.io/client-go/rest"}, deps: []string{"k8s.io/kubernetes/pkg/api"}}
	for _, prefix := range []string{"os", "k8s.io/", "k8s.io/client-go", "k8s.io/kubernetes"} {
		if len(deniedImports(p, prefix)) == 0 {
			t.Errorf("%s was not found", prefix)
		}
	}
	if got := deniedImports(p, "net/http"); got != nil {
		t.Errorf("net/http was found: %v", got)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
