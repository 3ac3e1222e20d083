package overview

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// rows is how many objects that are not in sync the table shows.
const rows = 20

// Print writes what a person reads. That every object is where it should be is said
// only if the hub is ready, every cluster is in sync and no object is out of place.
func (f Federation) Print(w io.Writer) error {
	health := "ready"
	if !f.Hub.Ready {
		health = "not ready: " + f.Hub.Problem
	}
	fmt.Fprintf(w, "hub %s, Kubernetes %s, %s\n", f.Hub.Endpoint, f.Hub.Version, health)
	if c := f.Hub.Certificates; c != nil && c.Problem != "" {
		fmt.Fprintf(w, "certificates: %s\n", c.Problem)
	} else if c != nil {
		fmt.Fprintf(w, "certificates are renewed in time; the first, %s, expires at %s\n", c.First, c.Expires.Format(time.RFC3339))
	}
	fmt.Fprintln(w)
	if len(f.Clusters) == 0 {
		fmt.Fprintln(w, "No cluster has joined. Try: hanse join NAME --kubeconfig FILE")
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CLUSTER\tSTATUS\tSYNCED\tHELD\tMESSAGE")
	for _, c := range f.Clusters {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", c.Name, dash(c.Status), c.Synced, c.Held, c.Message)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	switch unsynced := f.unsynced(); {
	case len(f.NotInSync) > 0:
		return f.printObjects(w)
	case len(unsynced) > 0:
		fmt.Fprintf(w, "\nNo object is known to be out of place, but these clusters are not known to be in sync: %s.\n", strings.Join(unsynced, ", "))
	case !f.Hub.Ready:
		fmt.Fprintln(w, "\nNo object is known to be out of place, but the hub is not ready.")
	default:
		fmt.Fprintln(w, "\nEvery object is where it should be.")
	}
	return nil
}

func (f Federation) printObjects(w io.Writer) error {
	if len(f.NotInSync) == 1 {
		fmt.Fprint(w, "\n1 object is not everywhere as the hub wants it:\n")
	} else {
		fmt.Fprintf(w, "\n%d objects are not everywhere as the hub wants them:\n", len(f.NotInSync))
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NAMESPACE\tKIND\tNAME\tCLUSTERS\tMESSAGE")
	for _, o := range f.NotInSync[:min(rows, len(f.NotInSync))] {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", dash(o.Namespace), o.Kind, o.Name, dash(o.Clusters), o.Message)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if more := len(f.NotInSync) - rows; more > 0 {
		fmt.Fprintf(w, "… and %d more. Try: kubectl --context federation get placements -A\n", more)
	}
	return nil
}

// dash is s, or a dash where the table would have a hole.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
