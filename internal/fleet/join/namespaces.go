package join

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/adoption"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/fleet/survey"
)

// Review is what somebody should see before a cluster joins.
type Review struct {
	// Theirs are the namespaces that the hub would leave alone, because they were there before and are not allowed. Who
	// may create Namespaces at the hub gets no further by the same name.
	Theirs []survey.Namespace
	// Taken are those that were there before and that the hub may take over.
	Taken []survey.Namespace
	// Unknown is why they cannot be told, empty: they can.
	Unknown string
	// Refreshed is true if the cluster is a member under that name already.
	Refreshed bool
}

// review looks at the namespaces of the member.
func (j *join) review(ctx context.Context) Review {
	r := Review{Refreshed: j.existing != nil}
	all, err := survey.Namespaces(ctx, j.member)
	if err != nil {
		r.Unknown = access.Classify(err).Detail
		return r
	}
	allowed := adoption.ReadNamespaces(j.cluster().Spec.Namespaces)
	for _, ns := range all {
		switch {
		case ns.Hub == j.hubUID || allowed.Denied(ns.Name):
		case allowed.Allowed(ns.Name):
			r.Taken = append(r.Taken, ns)
		default:
			r.Theirs = append(r.Theirs, ns)
		}
	}
	return r
}

// agree shows what is there to whoever is to see it, and takes over what they allow. It blocks until they have answered.
func (j *join) agree(ctx context.Context) error {
	if j.Review == nil {
		return nil
	}
	more, err := j.Review(ctx, j.review(ctx))
	if ctx.Err() != nil {
		return j.interrupted(ctx, err)
	}
	if err != nil {
		return err
	}
	j.Allow = append(slices.Clone(j.Allow), more...)
	return CheckPatterns(more)
}

// namespaces is what the Cluster is to say: what it says, and what is allowed and denied besides.
func (j *join) namespaces(now v1alpha1.ClusterNamespaces) v1alpha1.ClusterNamespaces {
	said := adoption.ReadNamespaces(now)
	with := func(list, more []string) []v1alpha1.NamespacePattern {
		out := []v1alpha1.NamespacePattern{}
		for _, p := range append(slices.Clone(list), more...) {
			if one := v1alpha1.NamespacePattern(p); !slices.Contains(out, one) {
				out = append(out, one)
			}
		}
		return out
	}
	return v1alpha1.ClusterNamespaces{Allow: with(said.Allow, j.Allow), Deny: with(said.Deny, j.Deny)}
}

// patternForm is that of a v1alpha1.NamespacePattern.
const (
	patternForm    = `^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$`
	longestPattern = 63
)

// CheckPatterns says what is wrong with names or patterns of namespaces, to whoever typed them.
func CheckPatterns(patterns []string) error {
	form := regexp.MustCompile(patternForm)
	var wrong []error
	for _, p := range patterns {
		if len(p) > longestPattern || !form.MatchString(p) {
			wrong = append(wrong, fmt.Errorf("%q is neither the name of a namespace nor a pattern of names. Try: such as shop, or 'team-*'", p))
		}
	}
	return errors.Join(wrong...)
}
