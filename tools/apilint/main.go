// Command apilint holds api/v1alpha1 against Kubernetes' API conventions, as kube-api-linter knows them. What settings.yaml
// says is what the conventions leave open for custom resources. What known.txt has is not to be changed any more, for clients
// depend on it; what it has in vain is an error, so that the list gets shorter only.
package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"
	plugin "sigs.k8s.io/kube-api-linter/pkg/plugin/base"
	_ "sigs.k8s.io/kube-api-linter/pkg/registration" // the rules
	"sigs.k8s.io/yaml"
)

//go:embed settings.yaml
var settings []byte

//go:embed known.txt
var known []byte

func main() {
	dir := flag.String("C", ".", "root of the module")
	flag.Parse()
	if err := run(*dir, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "apilint:", err)
		os.Exit(1)
	}
}

func run(dir string, patterns []string, out io.Writer) error {
	findings, err := analyze(dir, patterns)
	if err != nil {
		return err
	}
	fresh, stale := compare(findings, readKnown(known))
	for _, f := range fresh {
		fmt.Fprintf(out, "%s: %s (%s)\n", f.at, f.says, f.key())
	}
	for _, k := range stale {
		fmt.Fprintf(out, "known.txt: %s is in order. Try: take the line out\n", k)
	}
	if n := len(fresh) + len(stale); n > 0 {
		return fmt.Errorf("%d things are to be put right", n)
	}
	return nil
}

// finding is what a rule says of a field.
type finding struct{ rule, field, at, says string }

// key is how known.txt names it.
func (f finding) key() string { return f.rule + " " + f.field }

func analyze(dir string, patterns []string) (all []finding, err error) {
	var config map[string]any
	if err := yaml.Unmarshal(settings, &config); err != nil {
		return nil, fmt.Errorf("settings.yaml: %w", err)
	}
	linter, err := plugin.New(config)
	if err != nil {
		return nil, err
	}
	rules, err := linter.BuildAnalyzers()
	if err != nil {
		return nil, err
	}
	loaded, err := packages.Load(&packages.Config{Dir: dir, Mode: packages.LoadAllSyntax}, patterns...)
	if err != nil {
		return nil, err
	}
	if len(loaded) == 0 || packages.PrintErrors(loaded) > 0 {
		return nil, errors.New("the packages cannot be read")
	}
	graph, err := checker.Analyze(rules, loaded, nil)
	if err != nil {
		return nil, err
	}
	for action := range graph.All() {
		if action.Err != nil {
			return nil, fmt.Errorf("%s: %w", action, action.Err)
		}
		for _, d := range action.Diagnostics {
			if action.IsRoot {
				all = append(all, finding{action.Analyzer.Name, fieldOf(d.Message), action.Package.Fset.Position(d.Pos).String(), d.Message})
			}
		}
	}
	return all, nil
}

var qualified = regexp.MustCompile(`\b[A-Z]\w*\.(?:\w+\.)?[A-Z]\w*\b|\bConditions field in (\w+)`)

// fieldOf is the field that a message is about, as TYPE.FIELD.
func fieldOf(message string) string {
	m := qualified.FindStringSubmatch(message)
	switch {
	case m == nil:
		return "-"
	case m[1] != "":
		return m[1] + ".Conditions"
	}
	return m[0]
}

// readKnown is the lines that are no comments.
func readKnown(text []byte) map[string]bool {
	keys := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if line, _, _ := strings.Cut(lines.Text(), "#"); strings.TrimSpace(line) != "" {
			keys[strings.TrimSpace(line)] = true
		}
	}
	return keys
}

// compare is what is found and not known, and what is known and not found.
func compare(found []finding, known map[string]bool) (fresh []finding, stale []string) {
	seen := map[string]bool{}
	for _, f := range found {
		seen[f.key()] = true
		if !known[f.key()] {
			fresh = append(fresh, f)
		}
	}
	for k := range known {
		if !seen[k] {
			stale = append(stale, k)
		}
	}
	return fresh, stale
}
