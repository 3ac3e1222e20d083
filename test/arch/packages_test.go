package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goPackage is what go list says of a package of this module.
type goPackage struct {
	name    string   // relative to the module; main for the module itself
	doc     string   // the first sentence of the package comment
	direct  []string // imports
	deps    []string // imports, and all that they lead to
	imports []string // those of this module, as names
	files   []string // Go files, tests too
	sources []string // Go files without tests
}

// listPackages asks go list about all packages of the module.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Imports,Deps,GoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var listed struct {
			ImportPath, Dir, Doc                              string
			Imports, Deps, GoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&listed); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		p := goPackage{name: relative(listed.ImportPath), doc: listed.Doc, direct: listed.Imports, deps: listed.Deps}
		for _, i := range listed.Imports {
			if i == module || strings.HasPrefix(i, module+"/") {
				p.imports = append(p.imports, relative(i))
			}
		}
		for _, files := range [][]string{listed.GoFiles, listed.TestGoFiles, listed.XTestGoFiles} {
			for _, f := range files {
				p.files = append(p.files, filepath.Join(listed.Dir, f))
			}
		}
		p.sources = p.files[:len(listed.GoFiles)]
		if len(listed.GoFiles) == 0 {
			p.doc = testDoc(t, p.files) // go list looks for it in other files only
		}
		packages = append(packages, p)
	}
}

// testDoc is the package comment of a package of tests alone.
func testDoc(t *testing.T, files []string) string {
	t.Helper()
	for _, f := range files {
		file, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if file.Doc != nil {
			return file.Doc.Text()
		}
	}
	return ""
}

func relative(importPath string) string {
	if importPath == module {
		return "main"
	}
	return strings.TrimPrefix(importPath, module+"/")
}
