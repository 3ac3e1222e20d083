package scripts

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// exempt are commands in documents that no transcript runs, with the reason.
func exempt() map[string]string {
	return map[string]string{
		"make help":                  "what it prints is the Makefile itself",
		"make build":                 "the binary that the transcripts run is built by it",
		"make demo":                  "make build, then hanse demo, which demo.txtar runs",
		"make test":                  "this test is part of it",
		"make unit":                  "it is part of make test",
		"make lint":                  "it is part of make test",
		"make generate":              "test/arch runs the same generator and compares",
		"make fuzz":                  "it runs for as long as one likes",
		"make bench":                 "it measures for minutes",
		"export PATH=$PWD/bin:$PATH": "the transcripts have the binary in their PATH",
	}
}

// commandsIn are the commands in the ```sh blocks of a Markdown file, a line
// each, with continued lines joined.
func commandsIn(markdown string) []string {
	var commands []string
	in := false
	pending := ""
	for _, line := range strings.Split(markdown, "\n") {
		switch trimmed := strings.TrimSpace(line); {
		case trimmed == "```sh":
			in = true
		case strings.HasPrefix(trimmed, "```"):
			in = false
		case !in || trimmed == "" || strings.HasPrefix(trimmed, "#"):
		case strings.HasSuffix(trimmed, `\`):
			pending += strings.TrimSuffix(trimmed, `\`)
		default:
			commands = append(commands, normal(pending+trimmed))
			pending = ""
		}
	}
	return commands
}

// normal drops what differs between a shell and a transcript.
func normal(command string) string {
	command = strings.Join(strings.Fields(command), " ")
	command, _, _ = strings.Cut(command, " # ")
	command, _, _ = strings.Cut(command, " > ") // a transcript has cp stdout FILE
	return command
}

// runIn are the commands that a transcript runs: by exec, also in the
// background, by until, by env and cd, and in the shell scripts in it.
func runIn(archive *txtar.Archive) []string {
	var commands []string
	for _, line := range strings.Split(string(archive.Comment), "\n") {
		line = normal(strings.TrimPrefix(strings.TrimSpace(line), "! "))
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "exec":
			rest, _, _ = strings.Cut(rest, " &")
			commands = append(commands, rest)
		case "env":
			commands = append(commands, "export "+rest)
		case "cd":
			commands = append(commands, line)
		}
	}
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, ".sh") {
			commands = append(commands, commandsIn("```sh\n"+string(f.Data)+"\n```")...)
		}
	}
	return commands
}

// TestDocs fails on every command in a document that no transcript runs.
func TestDocs(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var run []string
	for _, script := range scripts {
		archive, err := txtar.ParseFile(script)
		if err != nil {
			t.Fatal(err)
		}
		run = append(run, runIn(archive)...)
	}
	for _, doc := range documents(t) {
		data, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range uncovered(commandsIn(string(data)), run) {
			t.Errorf("%s: no transcript in test/scripts/testdata runs: %s", doc, c)
		}
	}
}

// uncovered are the commands that are neither run nor exempt.
func uncovered(commands, run []string) []string {
	return slices.DeleteFunc(commands, func(c string) bool {
		_, ok := exempt()[c]
		return ok || slices.Contains(run, c)
	})
}

// documents are all Markdown files of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	var docs []string
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && d.Name() != "../.." {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".md") && !strings.Contains(path, "testdata") {
			docs = append(docs, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) < 3 {
		t.Fatalf("found only %v", docs)
	}
	return docs
}

// TestUncovered shows that a command that nobody runs is found, and how a
// document and a transcript are held together.
func TestUncovered(t *testing.T) {
	doc := "```sh\nhanse a   --b \\\n  c\n# why\nhanse d > f # a comment\nexport X=1\n```\n```\nhanse no\n```\n```sh\ncurl e\n```\n"
	archive := txtar.Parse([]byte("exec hanse a --b c\n! exec hanse d &d&\nenv X=1\n-- x.sh --\ncurl e\n"))
	commands := commandsIn(doc)
	if want := []string{"hanse a --b c", "hanse d", "export X=1", "curl e"}; !slices.Equal(commands, want) {
		t.Errorf("commands of the document: %q", commands)
	}
	if got := uncovered(slices.Clone(commands), runIn(archive)); len(got) != 0 {
		t.Errorf("not covered: %q", got)
	}
	if got := uncovered(commands, nil); len(got) != 4 {
		t.Errorf("without transcripts only these are not covered: %q", got)
	}
}
