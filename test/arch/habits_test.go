package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// maxLines is the budget of a file: what a reader can still hold in mind.
const maxLines = 500

// habit is a check of one Go file: it returns what is wrong, with the line.
type habit func(name, source string, fset *token.FileSet, file *ast.File) []string

// habits are the checks by the name of their fixture.
func habits() map[string]habit {
	return map[string]habit{
		"init":    noInit,
		"sleep":   noSleepInTests,
		"exit":    exitOnlyInMain,
		"todo":    noContextTODO,
		"toolong": shortFile,
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
			for _, h := range habits() {
				for _, w := range apply(t, h, f, source) {
					t.Error(w)
				}
			}
		}
	}
}

// TestHabitsFixtures shows that each check fails on a file made for it.
func TestHabitsFixtures(t *testing.T) {
	for name, h := range habits() {
		source := readFile(t, "testdata/"+name+"_test.go.txt")
		if name == "toolong" {
			source += strings.Repeat("\n", maxLines)
		}
		if got := apply(t, h, name+"_test.go", source); len(got) == 0 {
			t.Errorf("%s: nothing was found in its fixture", name)
		}
		for other, h := range habits() {
			if got := apply(t, h, name+"_test.go", source); other != name && len(got) > 0 {
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
