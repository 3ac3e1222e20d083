package main

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// origin is the module that has the database's entries in its data/osv.
const origin = "golang.org/x/vulndb"

// copied has first the version of the module that it is from, then one entry a line, of the modules that the program is
// made of, compressed.
//
//go:embed osv.jsonl.gz
var copied []byte

// entry is what of an entry of the database (https://ossf.github.io/osv-schema/) its index is made of.
type entry struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Affected []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
	} `json:"affected"`
}

// expand writes the copy as govulncheck reads it (https://go.dev/doc/security/vuln/database#api) into a new folder. version is
// that of the module it is from.
func expand() (dir, version string, err error) {
	dir, err = os.MkdirTemp("", "hanse-vulncheck-")
	if err != nil {
		return "", "", err
	}
	if version, err = expandInto(dir); err != nil {
		_ = os.RemoveAll(dir)
		return "", "", fmt.Errorf("osv.jsonl.gz: %w. Try: make vulnerabilities", err)
	}
	return dir, version, nil
}

func expandInto(dir string) (version string, err error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(copied))
	if err != nil {
		return "", err
	}
	type vuln struct {
		ID       string    `json:"id"`
		Modified time.Time `json:"modified"`
	}
	type module struct {
		Path  string `json:"path"`
		Vulns []vuln `json:"vulns"`
	}
	modules := map[string]*module{}
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		return "", cmp.Or(lines.Err(), io.ErrUnexpectedEOF)
	}
	version = lines.Text()
	for lines.Scan() {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return "", err
		}
		if err := writeFile(dir, "ID/"+e.ID+".json", json.RawMessage(lines.Bytes())); err != nil {
			return "", err
		}
		for _, name := range e.modules() {
			if modules[name] == nil {
				modules[name] = &module{Path: name}
			}
			modules[name].Vulns = append(modules[name].Vulns, vuln{e.ID, e.Modified})
		}

	}
	if err := lines.Err(); err != nil {
		return "", err
	}
	index := make([]*module, 0, len(modules))
	for _, m := range modules {
		index = append(index, m)
	}
	slices.SortFunc(index, func(a, b *module) int { return strings.Compare(a.Path, b.Path) })
	if err := writeFile(dir, "index/modules.json", index); err != nil {
		return "", err
	}
	return version, writeFile(dir, "index/db.json", map[string]time.Time{"modified": {}})
}

// modules are those that the entry is about, each once.
func (e *entry) modules() []string {
	var names []string
	for _, a := range e.Affected {
		names = append(names, a.Package.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func writeFile(dir, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// writeCopy writes osv.jsonl.gz again: of the newest version of the database what is about modules that the one in dir links.
func writeCopy(dir string) error {
	var from struct{ Dir, Version string }
	download, err := goOutput(os.TempDir(), "mod", "download", "-json", origin+"@latest")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(download, &from); err != nil {
		return fmt.Errorf("go mod download: %w", err)
	}
	linked, err := goOutput(dir, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./...")
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(from.Dir, "data", "osv", "*.json"))
	if err != nil {
		return err
	}
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w, from.Version); err != nil {
		return err
	}
	for _, file := range files {
		if err := copyEntry(w, file, append(strings.Fields(string(linked)), standard)); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "tools", "vulncheck", "osv.jsonl.gz"), zipped.Bytes(), 0o644)
}

func goOutput(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w", args[0], err)
	}
	return out, nil
}

func copyEntry(w *gzip.Writer, file string, linked []string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var e entry
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if !slices.ContainsFunc(e.modules(), func(name string) bool { return slices.Contains(linked, name) }) {
		return nil
	}
	var line bytes.Buffer
	if err := json.Compact(&line, data); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	line.WriteByte('\n')
	_, err = w.Write(line.Bytes())
	return err
}
