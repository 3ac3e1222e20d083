package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// oneClock: the verbs of the command line are given their clock.
func oneClock(_, _ string, fset *token.FileSet, file *ast.File) []string {
	var wrong []string
	for _, function := range []string{"Now", "Since", "Until"} {
		wrong = append(wrong, calls(fset, file, "time", function, "take a clock.PassiveClock from the caller")...)
	}
	return wrong
}

// errorsAs: an error that is wrapped is found by errors.As, and not by an assertion.
func errorsAs(_, _ string, fset *token.FileSet, file *ast.File) []string {
	var wrong []string
	ast.Inspect(file, func(n ast.Node) bool {
		if a, ok := n.(*ast.TypeAssertExpr); ok {
			if x, ok := a.X.(*ast.Ident); ok && (x.Name == "err" || strings.HasSuffix(x.Name, "Err")) {
				wrong = append(wrong, fmt.Sprintf("%s: %s.(…): use errors.As", fset.Position(a.Pos()), x.Name))
			}
		}
		return true
	})
	return wrong
}

// TestCommandLine holds internal/cli and all below it to habits of its own.
func TestCommandLine(t *testing.T) {
	seen := 0
	for _, p := range listPackages(t) {
		if p.name != "internal/cli" && !strings.HasPrefix(p.name, "internal/cli/") {
			continue
		}
		seen++
		for _, f := range p.files {
			for _, h := range []habit{oneClock, errorsAs} {
				for _, w := range apply(t, h, f, readFile(t, f)) {
					t.Error(w)
				}
			}
		}
	}
	if seen < 5 {
		t.Errorf("only %d packages are the command line", seen)
	}
}

func TestCommandLineFixture(t *testing.T) {
	source := "package p\n\nimport \"time\"\n\nfunc f(err error) { _, _ = err.(interface{ Is(error) bool }); _ = time.Now(); _ = time.Since; switch err.(type) {} }\n"
	if got := apply(t, oneClock, "a.go", source); len(got) != 2 {
		t.Errorf("found is %q", got)
	}
	if got := apply(t, errorsAs, "a.go", source); len(got) != 2 {
		t.Errorf("found is %q", got)
	}
}
