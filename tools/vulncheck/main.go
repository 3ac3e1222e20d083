// Vulncheck looks for known vulnerabilities in what the program is made of, with govulncheck.
//
//	go run ./vulncheck -C .. ./...            in the packages of a module
//	go run ./vulncheck -C .. -refresh         write the copy of the database again
//
// The database is the one at vuln.go.dev. Where that cannot be reached, the copy beside this program is used, and that is said.
// A vulnerability of a module fails the check, unless accepted.json says why it does not matter here. One of the standard
// library does not: it is that of whoever builds, and a release is built with a version of Go that has none.
package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"golang.org/x/vuln/scan"
)

const (
	database = "https://vuln.go.dev"
	// reachable is for how long the database is waited for.
	reachable = 10 * time.Second
)

func main() {
	dir := flag.String("C", ".", "the `folder` of the module")
	refresh := flag.Bool("refresh", false, "write the copy of the database again")
	flag.Parse()
	var err error
	if *refresh {
		err = writeCopy(*dir)
	} else {
		err = check(context.Background(), *dir, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vulncheck:", err)
		os.Exit(1)
	}
}

// check fails if a vulnerability is found that is not accepted.
func check(ctx context.Context, dir string, patterns []string) error {
	url, done, err := source(ctx)
	if err != nil {
		return err
	}
	defer done()
	var out, faults bytes.Buffer
	cmd := scan.Command(ctx, append([]string{"-C", dir, "-db", url, "-format", "json", "-scan", "package"}, patterns...)...)
	cmd.Stdout, cmd.Stderr = &out, &faults
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, faults.Bytes())
	}
	found, err := read(&out)
	if err != nil {
		return err
	}
	accepted, err := readAccepted()
	if err != nil {
		return err
	}
	return judge(os.Stdout, found, accepted)
}

// source is the URL of the database, or of a copy of it until done is called.
func source(ctx context.Context) (url string, done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, reachable)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, database+"/index/db.json", nil)
	if err != nil {
		return "", nil, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err == nil {
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return database, func() {}, nil
		}
		err = errors.New(answer.Status)
	}
	dir, version, wrong := expand()
	if wrong != nil {
		return "", nil, wrong
	}
	fmt.Fprintf(os.Stderr, "vulncheck: %s cannot be reached (%v): using the copy in the tree, of %s %s\n", database, err, origin, version)
	return "file://" + dir, func() { _ = os.RemoveAll(dir) }, nil
}

// finding is a vulnerability of a package that is linked.
type finding struct {
	ID, Module, Version, Fixed string
}

// standard is how the database calls the standard library.
const standard = "stdlib"

// read reads govulncheck's stream of messages.
func read(in io.Reader) ([]finding, error) {
	var found []finding
	for dec := json.NewDecoder(in); ; {
		var message struct {
			Finding *struct {
				OSV   string `json:"osv"`
				Fixed string `json:"fixed_version"`
				Trace []struct{ Module, Version, Package string }
			}
		}
		if err := dec.Decode(&message); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read govulncheck's output: %w", err)
		}
		if f := message.Finding; f != nil && len(f.Trace) > 0 && f.Trace[0].Package != "" {
			found = append(found, finding{f.OSV, f.Trace[0].Module, f.Trace[0].Version, f.Fixed})
		}
	}
	slices.SortFunc(found, func(a, b finding) int { return cmp.Or(cmp.Compare(a.Module, b.Module), cmp.Compare(a.ID, b.ID)) })
	return slices.Compact(found), nil
}

//go:embed accepted.json
var acceptedJSON []byte

// readAccepted is for each vulnerability that does not matter here why not.
func readAccepted() (map[string]string, error) {
	var accepted map[string]string
	if err := json.Unmarshal(acceptedJSON, &accepted); err != nil {
		return nil, fmt.Errorf("accepted.json: %w", err)
	}
	return accepted, nil
}

// judge says what was found, and fails if something of it matters.
func judge(out io.Writer, found []finding, accepted map[string]string) error {
	wrong, old := 0, 0
	for _, f := range found {
		switch {
		case f.Module == standard:
			old++
			continue
		case accepted[f.ID] != "":
			continue
		}
		wrong++
		fixed := "no version has it fixed"
		if f.Fixed != "" {
			fixed = "fixed in " + f.Fixed
		}
		fmt.Fprintf(out, "%s@%s: https://pkg.go.dev/vuln/%s, %s\n", f.Module, f.Version, f.ID, fixed)
	}
	for id := range accepted {
		if !slices.ContainsFunc(found, func(f finding) bool { return f.ID == id }) {
			wrong++
			fmt.Fprintf(out, "%s is accepted and was not found. Try: take it out of tools/vulncheck/accepted.json\n", id)
		}
	}
	if old > 0 {
		fmt.Fprintf(out, "This version of Go has %d known vulnerabilities in packages of its standard library that are used. Try: a newer one, as `make release` does\n", old)
	}
	if wrong > 0 {
		return fmt.Errorf("%d vulnerabilities. Try: a version of the module that has them fixed, or accept them in tools/vulncheck/accepted.json with the reason", wrong)
	}
	return nil
}
