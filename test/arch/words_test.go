package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// oddWord is one that a reader of the Kubernetes documentation would stumble over.
type oddWord struct {
	pattern *regexp.Regexp
	better  string
	// everywhere: nor is it to be in the comments of code.
	everywhere bool
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
		{`\bin vain\b`, "without success, or timed out"},
	} {
		words = append(words, oddWord{
			pattern: regexp.MustCompile(`(?i)` + strings.ReplaceAll(w[0], " ", `\s+`)), better: w[1],
			everywhere: slices.Contains([]string{`\bso far\b`, `\banew\b`, `\bin vain\b`}, w[0]),
		})
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

// readByUsers are the odd words in a Go file: in its strings, which users read, and in its comments those that are to be nowhere, in the
// API all, as kubectl explain shows them.
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
	inComments := words
	if !strings.Contains(filepath.ToSlash(name), "api/v1alpha1/") {
		inComments = slices.DeleteFunc(slices.Clone(words), func(w oddWord) bool { return !w.everywhere })
	}
	for _, c := range file.Comments {
		wrong = append(wrong, oddWordsIn(inComments, name, line(c), c.Text())...)
	}
	return wrong, nil
}

// filesLike are the files of a pattern; of a directory all Go files below it, however deep.
func filesLike(pattern string) (files []string, err error) {
	if strings.Contains(pattern, "*") {
		return filepath.Glob(pattern)
	}
	err = filepath.WalkDir(pattern, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// TestWords keeps odd words out of the documents, the API, and what programs say: events, conditions, errors, logs.
func TestWords(t *testing.T) {
	words := oddWords()
	for pattern, least := range map[string]int{
		"../../*.md": 3, "../../docs/*.md": 8, "../../examples/*/*.md": 1, "../../monitoring/*.yaml": 1, "../../internal": 600, "../../api/v1alpha1/*.go": 5,
	} {
		files, err := filesLike(pattern)
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
	source := "package p\n\n// For ever anew.\nvar s = `for\never`\n"
	for name, want := range map[string]int{"internal/cli/a.go": 2, "api/v1alpha1/a.go": 3} {
		if got, err := readByUsers(words, name, source); err != nil || len(got) != want {
			t.Errorf("%s: found %q, %v; want %d", name, got, err, want)
		}
	}
}
