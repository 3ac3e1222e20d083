package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is everything that was measured; its JSON is what -o writes.
type report struct {
	Time    time.Time `json:"time"`
	Hanse   string    `json:"hanse"`
	Cores   int       `json:"cores"`
	Kernel  string    `json:"kernel"`
	Seconds float64   `json:"seconds"`
	Rows    []row     `json:"rows"`
	Growth  []growth  `json:"growth,omitempty"`
}

// row is one figure. Target is the most that it may be; 0 means that there is none, unless None says that it is zero.
type row struct {
	Group   string         `json:"group"`
	Name    string         `json:"name"`
	Value   float64        `json:"value"`
	Unit    string         `json:"unit,omitempty"`
	Target  float64        `json:"target,omitempty"`
	None    bool           `json:"none,omitempty"`
	Karmada string         `json:"karmada,omitempty"`
	Detail  map[string]int `json:"detail,omitempty"`
}

// growth is a line of the table of how it grows.
type growth struct {
	Objects int     `json:"objects"`
	Members int     `json:"members"`
	Create  cell    `json:"create"`
	Update  cell    `json:"update"`
	Delete  cell    `json:"delete"`
	RSS     float64 `json:"rssMiB"` // after create
}

// cell is a phase in that line: seconds, and writes per object.
type cell struct {
	Floor        float64 `json:"floor"`
	Hub          float64 `json:"hub"`
	CPU          float64 `json:"cpu"`
	HubWrites    float64 `json:"hubWrites"`
	MemberWrites float64 `json:"memberWrites"`
}

func (r *report) describe(hanse string) {
	r.Time, r.Hanse, r.Cores = time.Now().UTC(), version(hanse), runtime.NumCPU()
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // a report without it is a report
	r.Kernel = strings.TrimSpace(string(kernel))
}

func (r *report) add(rows ...row) { r.Rows = append(r.Rows, rows...) }

// verdict compares with the target. A hundredth over it, of what is counted, is rounding.
func (r row) verdict() string {
	switch {
	case r.Target == 0 && !r.None:
		return ""
	case r.Value <= r.Target*1.005:
		return "✓"
	}
	return "✗"
}

func (r row) target() string {
	if r.Target == 0 && !r.None {
		return ""
	}
	return number(r.Target)
}

// number has three digits that count.
func number(f float64) string {
	switch {
	case f == float64(int(f)) || f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	case f >= 1:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.3f", f)
}

func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "%s, %d cores, Linux %s, %.0f s\n\n", r.Hanse, r.Cores, r.Kernel, r.Seconds)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tVALUE\tAT MOST\t\tKARMADA\t")
	group := ""
	for _, r := range r.Rows {
		if r.Group != group {
			group = r.Group
			fmt.Fprintln(table, strings.ToUpper(group)+"\t\t\t\t\t")
		}
		fmt.Fprintf(table, "  %s\t%s %s\t%s\t%s\t%s\t%s\n", r.Name, number(r.Value), r.Unit, r.target(), r.verdict(), r.Karmada, detail(r.Detail))
	}
	table.Flush()
	r.printGrowth(out)
}

// detail is counts by name.
func detail(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if counts[name] != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
		}
	}
	return strings.Join(parts, ", ")
}

func (r *report) printGrowth(out io.Writer) {
	if len(r.Growth) == 0 {
		return
	}
	fmt.Fprintln(out, "\nHow it grows: seconds until the last member has it (× floor), seconds of the hub's CPU")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OBJECTS\tMEMBERS\tCREATE\tUPDATE\tDELETE\tHUB WRITES\tRSS")
	for _, g := range r.Growth {
		fmt.Fprintf(table, "%d\t%d\t%s\t%s\t%s\t%s %s %s\t%s MiB\n", g.Objects, g.Members, g.Create, g.Update, g.Delete,
			number(g.Create.HubWrites), number(g.Update.HubWrites), number(g.Delete.HubWrites), number(g.RSS))
	}
	table.Flush()
}

func (c cell) String() string {
	return fmt.Sprintf("%s (%s×) cpu %s", number(c.Hub), number(c.Hub/c.Floor), number(c.CPU))
}

func (r *report) write(file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}
