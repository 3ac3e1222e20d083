package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// maxLines is the budget of a file: what a reader can still hold in mind.
const maxLines = 500

// habit is a check of one Go file, whose name is relative to the module: it returns what
// is wrong, with the line.
type habit func(name, source string, fset *token.FileSet, file *ast.File) []string

// habits are the checks by the name of their fixture: NAME_test.go.txt or, where tests
// are free to do it, NAME.go.txt.
func habits() map[string]habit {
	return map[string]habit{
		"init":    noInit,
		"sleep":   noSleepInTests,
		"exit":    exitOnlyInMain,
		"todo":    noContextTODO,
		"toolong": shortFile,
		"now":     timeFromClock,
		"clock":   clockFromRoot,
	}
}

func noInit(_, _ string, fset *token.FileSet, file *ast.File) []string {
	var wrong []string
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			wrong = append(wrong, fmt.Sprintf("%s: init(): make it an explicit call", fset.Position(f.Pos())))
		}
	}
	return wrong
}

func noSleepInTests(name, _ string, fset *token.FileSet, file *ast.File) []string {
	if !strings.HasSuffix(name, "_test.go") {
		return nil
	}
	return calls(fset, file, "time", "Sleep", "wait for a condition, with a deadline")
}

func exitOnlyInMain(name, _ string, fset *token.FileSet, file *ast.File) []string {
	if filepath.Base(name) == "main.go" && file.Name.Name == "main" || isTestMain(name, file) {
		return nil
	}
	return append(calls(fset, file, "os", "Exit", "return an error"), calls(fset, file, "log", "Fatal", "return an error")...)
}

// isTestMain reports whether a file holds TestMain, which has to exit.
func isTestMain(name string, file *ast.File) bool {
	return strings.HasSuffix(name, "_test.go") && file.Scope.Lookup("TestMain") != nil
}

func noContextTODO(_, _ string, fset *token.FileSet, file *ast.File) []string {
	return calls(fset, file, "context", "TODO", "take a context from the caller")
}

// timeFromClock keeps to the clock that a package is handed, so that what it decides can be
// replayed. Tests and what is below test/ measure, and may look.
func timeFromClock(name, _ string, fset *token.FileSet, file *ast.File) []string {
	if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "test/") || below(name, timeless()) {
		return nil
	}
	var wrong []string
	for _, f := range []string{"time.Now", "time.Since", "time.Until", "metav1.Now", "metav1.NowMicro"} {
		pkg, function, _ := strings.Cut(f, ".")
		wrong = append(wrong, calls(fset, file, pkg, function, "take a clock from the caller")...)
	}
	return wrong
}

// timeless are packages that are yet to be handed a clock.
func timeless() []string {
	return []string{"internal/propagate"}
}

// clockFromRoot has the clock made where a process is put together, and nowhere else.
func clockFromRoot(name, _ string, fset *token.FileSet, file *ast.File) []string {
	roots := []string{"main.go", "internal/cli", "internal/app", "internal/localcluster/cluster", "test"}
	if strings.HasSuffix(name, "_test.go") || below(name, roots) || below(name, timeless()) {
		return nil
	}
	return calls(fset, file, "clock", "RealClock", "take a clock from the caller")
}

// below reports whether a file is one of some, or in a directory of theirs.
func below(name string, of []string) bool {
	return slices.ContainsFunc(of, func(dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") })
}

func shortFile(name, source string, _ *token.FileSet, file *ast.File) []string {
	if n := strings.Count(source, "\n"); n > maxLines && !ast.IsGenerated(file) {
		return []string{fmt.Sprintf("%s has %d lines, budget %d: split it by concern", name, n, maxLines)}
	}
	return nil
}

// calls finds the calls of a function of another package.
func calls(fset *token.FileSet, file *ast.File, pkg, function, instead string) []string {
	var wrong []string
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok || s.Sel.Name != function {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg && x.Obj == nil {
			wrong = append(wrong, fmt.Sprintf("%s: %s.%s: %s", fset.Position(s.Pos()), pkg, function, instead))
		}
		return true
	})
	return wrong
}

func apply(t *testing.T, h habit, name, source string) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return h(name, source, fset, file)
}

func TestHabits(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, f := range p.files {
			source := readFile(t, f)
			name := filepath.Base(f)
			if p.name != "main" {
				name = p.name + "/" + name
			}
			for _, h := range habits() {
				for _, w := range apply(t, h, name, source) {
					t.Error(w)
				}
			}
		}
	}
}

// TestHabitsFixtures shows that each check fails on a file made for it.
func TestHabitsFixtures(t *testing.T) {
	for name, h := range habits() {
		file := name + "_test.go"
		if _, err := os.Stat("testdata/" + file + ".txt"); err != nil {
			file = name + ".go"
		}
		source := readFile(t, "testdata/"+file+".txt")
		if name == "toolong" {
			source += strings.Repeat("\n", maxLines)
		}
		want := max(1, strings.Count(source, "// wrong\n"))
		if got := apply(t, h, "internal/f/"+file, source); len(got) != want {
			t.Errorf("%s: found in its fixture is %q, not %d", name, got, want)
		}
		for other, h := range habits() {
			if got := apply(t, h, "internal/f/"+file, source); other != name && len(got) > 0 {
				t.Errorf("%s: the fixture also fails %s: %v", name, other, got)
			}
		}
	}
}

func TestPackageComments(t *testing.T) {
	for _, p := range listPackages(t) {
		if w := commentWrong(p); w != "" {
			t.Error(w)
		}
	}
	for _, p := range []goPackage{{name: "a/b"}, {name: "a/b", doc: "this is about b."}} {
		if commentWrong(p) == "" {
			t.Errorf("nothing is wrong with %+v?", p)
		}
	}
}

func commentWrong(p goPackage) string {
	start := "Package " + p.name[strings.LastIndex(p.name, "/")+1:]
	if p.doc == "" || !strings.HasPrefix(p.doc, start) && !strings.HasPrefix(p.doc, "Command ") {
		return fmt.Sprintf("%s has no package comment that begins %q: %q", p.name, start, p.doc)
	}
	return ""
}
