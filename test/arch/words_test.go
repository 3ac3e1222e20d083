package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// oddWord is one that a reader of the Kubernetes documentation would stumble over.
type oddWord struct {
	pattern *regexp.Regexp
	better  string
}

// oddWords are few: only what is never meant. A line of testdata/words.md has each.
func oddWords() []oddWord {
	var words []oddWord
	for _, w := range [][2]string{
		{`\bthought away\b`, "left out"},
		{`\b(made|mak(e|es|ing)) up for\b`, "fails over, or is replaced"},
		{`\bheed(s|ed|ing)?\b`, "is in effect, or is taken into account"},
		{`\b1 (replicas|objects|clusters|workloads)\b`, "the singular"},
		{`, as (DaemonSets|Jobs|Services|\w+=\d)`, "such as"},
		{`\bso far\b`, "yet, or until now"},
		{`\banew\b`, "again"},
		{`\bfor ever\b`, "forever, or never"},
		{`\bfor want of\b`, "without, or because there is no"},
		{`\b(?-i:Say) (why|where|which|whether)\b`, "explain why, show where"},
		{`\b(inside|outside) down\b`, "why it is down: inside: …"},
		{`\bdealt with\b`, "processed"},
		{`\b(not|no|never) [^.;:"]{0,60}\bany more\b`, "no longer"},
		{`\ball the same\b`, "anyway"},
		{`\bnobody knows\b`, "unknown"},
		{`\bmakes? no sense\b`, "is not valid"},
		{`\bpassed over\b`, "skipped"},
		{`\bin motion\b`, "in progress, or moving"},
		{`\b(take|takes|taken|took) (it )?off\b`, "remove"},
		{`\b(is|are) \w+ still\b`, "is still"},
		{`\bis none\. Try\b`, "is not supported"},
		{`\b(had|has|have) (fewest|most)\b`, "the fewest, the most"},
		{`\bkept elsewhere\b`, "external zone"},
		{`\bgoes deaf\b`, "misses changes"},
	} {
		words = append(words, oddWord{regexp.MustCompile(`(?i)` + strings.ReplaceAll(w[0], " ", `\s+`)), w[1]})
	}
	return words
}

// oddWordsIn finds them in a text that begins at a line of a file.
func oddWordsIn(words []oddWord, file string, line int, text string) []string {
	var wrong []string
	for _, w := range words {
		for _, at := range w.pattern.FindAllStringIndex(text, -1) {
			wrong = append(wrong, fmt.Sprintf("%s:%d: %q: better %s", file, line+strings.Count(text[:at[0]], "\n"), text[at[0]:at[1]], w.better))
		}
	}
	return wrong
}

// readByUsers are the texts of a Go file that users read: its strings, and in the API
// its comments too, which kubectl explain shows.
func readByUsers(words []oddWord, name, source string) (wrong []string, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	line := func(n ast.Node) int { return fset.Position(n.Pos()).Line }
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
			wrong = append(wrong, oddWordsIn(words, name, line(s), s.Value)...)
		}
		return true
	})
	if strings.Contains(filepath.ToSlash(name), "api/v1alpha1/") {
		for _, c := range file.Comments {
			wrong = append(wrong, oddWordsIn(words, name, line(c), c.Text())...)
		}
	}
	return wrong, nil
}

// TestWords keeps odd words out of the documents, the API, and what programs say: events, conditions, errors, logs.
func TestWords(t *testing.T) {
	words := oddWords()
	for pattern, least := range map[string]int{
		"../../*.md": 3, "../../docs/*.md": 8, "../../examples/*/*.md": 1, "../../monitoring/*.yaml": 1,
		"../../internal/*/*.go": 250, "../../internal/*/*/*.go": 250, "../../api/v1alpha1/*.go": 5,
	} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) < least {
			t.Fatalf("%s: only %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue // no user reads it
			}
			source := readFile(t, file)
			wrong := oddWordsIn(words, file, 1, source)
			if strings.HasSuffix(file, ".go") {
				if wrong, err = readByUsers(words, file, source); err != nil {
					t.Fatal(err)
				}
			}
			for _, w := range wrong {
				t.Error(w)
			}
		}
	}
}

// TestWordsFixture shows that each odd word is found, and where.
func TestWordsFixture(t *testing.T) {
	words := oddWords()
	found := oddWordsIn(words, "words.md", 1, readFile(t, "testdata/words.md"))
	for i, w := range words {
		want := fmt.Sprintf("words.md:%d: ", i+1)
		if i >= len(found) || !strings.HasPrefix(found[i], want) || !strings.HasSuffix(found[i], w.better) {
			t.Fatalf("%s is to be found as %s…, found is %q", w.pattern, want, found)
		}
	}
	if len(found) != len(words) {
		t.Errorf("found is %q", found)
	}
	source := "package p\n\n// anew.\nvar s = `for\never`\n"
	for name, want := range map[string]int{"internal/cli/a.go": 1, "api/v1alpha1/a.go": 2} {
		if got, err := readByUsers(words, name, source); err != nil || len(got) != want {
			t.Errorf("%s: found %q, %v; want %d", name, got, err, want)
		}
	}
}
