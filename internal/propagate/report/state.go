package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// stateOf is how an object is doing in a member: one of the State… constants. o is not nil.
func stateOf(a *decide.Assignment, m Member, o *decide.Observed) string {
	_, placed := a.Shares[m.Name()]
	switch {
	case !m.Reachable():
		return v1alpha1.StateAway
	case o.Fault != nil && o.Fault.Conflict:
		return v1alpha1.StateConflict
	case o.Fault != nil:
		return v1alpha1.StateError
	case m.Unread(a.Key.GR) != nil:
		return v1alpha1.StateUnknown
	case a.Withheld():
		return v1alpha1.StateSynced
	case o.Deleting, !placed && a.Division != kinds.Replicas && a.Division != kinds.OneActive:
		return v1alpha1.StateDeleting
	case a.Synced(m.Name(), o) && len(o.Dropped) > 0:
		return v1alpha1.StateFieldsDropped
	case a.Synced(m.Name(), o):
		return v1alpha1.StateSynced
	case !o.Exists() && a.Finished(): // cleared away there
		return v1alpha1.StateSynced
	}
	return v1alpha1.StatePending
}

// stateMessage says why an object is not Synced in a member; empty where it is, or where an error of the member's
// says so.
func stateMessage(a *decide.Assignment, facts *decide.Facts, m Member, o *decide.Observed, state string) string {
	switch state {
	case v1alpha1.StateAway:
		return awayMessage(facts.Clusters[m.Name()])
	case v1alpha1.StateUnknown:
		if err := m.Unread(a.Key.GR); err != nil {
			return fmt.Sprintf("%s cannot be read there; the status shown is as last seen: %s", a.Key.GR, Shorten(err.Error()))
		}
	case v1alpha1.StateFieldsDropped:
		return DroppedMessage(m.Name(), versionOf(m.Name(), facts), o.Dropped)
	case v1alpha1.StateDeleting:
		return deletingMessage(o)
	case v1alpha1.StatePending:
		return pendingMessage(a, m, o)
	}
	return ""
}

func awayMessage(c *decide.Cluster) string {
	switch {
	case c == nil:
		return "the cluster has left"
	case c.Ready:
		return "the hub has not read the cluster yet"
	case c.Since.IsZero():
		return "the hub has not reached the cluster yet"
	}
	return "the cluster has been out of reach since " + c.Since.UTC().Format(time.RFC3339)
}

func pendingMessage(a *decide.Assignment, m Member, o *decide.Observed) string {
	switch {
	case a.Undecided:
		return "its placement has not been decided yet"
	case a.AwaitsNamespace:
		return "waiting for the decision about its namespace"
	}
	if a.Key.Namespace != "" {
		ns := m.Observed(template.Key{GR: template.Namespaces(), Name: a.Key.Namespace})
		if ns.Exists() && ns.Deleting {
			return fmt.Sprintf("namespace %s there is %s", a.Key.Namespace, deletingMessage(ns))
		}
	}
	switch {
	case o.Waits != "":
		return "waiting for " + o.Waits
	case m.Reachable() && !m.Heard(a.Key.GR):
		return a.Key.GR.String() + " there have not been read yet"
	}
	return "to be written"
}

// deletingMessage says what the deletion of an object waits for.
func deletingMessage(o *decide.Observed) string {
	switch {
	case !o.Deleting && o.Waits != "":
		return "to be deleted; waiting for " + o.Waits
	case !o.Deleting:
		return "to be deleted"
	}
	var waits []string
	if len(o.Finalizers) > 0 {
		waits = append(waits, "finalizer "+strings.Join(o.Finalizers, ", "))
	}
	waits = append(waits, namespaceWaits(o.Status)...)
	if len(waits) == 0 {
		return "being deleted"
	}
	return "being deleted; waiting for " + strings.Join(waits, "; ")
}

// namespaceWaits is what the conditions of a Namespace say that its deletion waits for.
func namespaceWaits(status map[string]any) (waits []string) {
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		kind, _ := m["type"].(string)
		text, _ := m["message"].(string)
		if m["status"] == "True" && strings.HasPrefix(kind, "Namespace") && text != "" {
			waits = append(waits, Shorten(text))
		}
	}
	return waits
}

// shownFields bounds a message about fields.
const shownFields = 5

// versionOf is the Kubernetes version of a cluster, empty where it is not known.
func versionOf(cluster string, facts *decide.Facts) string {
	if c := facts.Clusters[cluster]; c != nil {
		return c.Version
	}
	return ""
}

// DroppedMessage says which fields a cluster did not keep. It names fields, never what is in them. version is the
// cluster's, empty where it is not known.
func DroppedMessage(cluster, version string, dropped []fieldmerge.Path) string {
	if version != "" {
		cluster += " (" + version + ")"
	}
	names := make([]string, 0, shownFields+1)
	for _, p := range dropped[:min(len(dropped), shownFields)] {
		names = append(names, p.String())
	}
	if more := len(dropped) - shownFields; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return "written, but " + cluster + " did not keep " + strings.Join(names, ", ") +
		": its version or its CRD does not have them, a feature gate there is off, or a webhook removes them. Try: upgrade the cluster, or the CRD there"
}

// WithheldMessage is why an object stays although the hub has no use for it, in words.
func WithheldMessage(reason lineage.Reason) string {
	switch reason {
	case lineage.AnotherHub:
		return "another hub put it there"
	case lineage.UnknownSession:
		return "this hub put it there, but its database is from an earlier time"
	case lineage.RestoredInCluster:
		return "somebody put it back there, from a backup or another cluster"
	case lineage.MayHoldData:
		return "a Residency does not let it be there, but with it would go data of volumes, which may be nowhere else"
	}
	return string(reason)
}

// shownError bounds what a message takes over of what others say, in bytes.
const shownError = 200

// Shorten is a text in one line that is not too long.
func Shorten(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > shownError {
		text = strings.ToValidUTF8(text[:shownError], "") + "…"
	}
	return text
}
