package members

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/fleet/join"
	"github.com/hanse-dev/hanse/internal/fleet/survey"
)

func TestReview(t *testing.T) {
	flux := survey.Namespace{Name: "flux-system", Workloads: 4, Accounts: 6, Secrets: 2}
	for name, c := range map[string]struct {
		f         joinFlags
		r         join.Review
		want, not string
	}{
		"nothing is there":       {joinFlags{}, join.Review{Taken: []survey.Namespace{{Name: "default"}}}, "", "NAMESPACE"},
		"its own":                {joinFlags{}, join.Review{Theirs: []survey.Namespace{flux}}, "flux-system   4           6                  2         -", "which of them"},
		"nobody to ask":          {joinFlags{}, join.Review{Theirs: []survey.Namespace{flux}}, "hanse join prod again, with --allow-namespaces", "Which of them"},
		"another hub's":          {joinFlags{yes: true}, join.Review{Theirs: []survey.Namespace{{Name: "shop", Hub: "uid"}}}, "another", "uid"},
		"not all was counted":    {joinFlags{yes: true}, join.Review{Theirs: []survey.Namespace{{Name: "shop", Workloads: 20000, Partial: true}}}, "20000+", ""},
		"default with something": {joinFlags{}, join.Review{Taken: []survey.Namespace{{Name: "default", Accounts: 1}}}, "may take them over", "stay the cluster's own"},
		"unknown":                {joinFlags{}, join.Review{Unknown: "namespaces is forbidden"}, "cannot be listed (namespaces is forbidden)", "NAMESPACE"},
		"many":                   {joinFlags{}, join.Review{Theirs: slices.Repeat([]survey.Namespace{flux}, 50)}, "… and 10 more", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			allow, err := c.f.review(t.Context(), genericiooptions.IOStreams{In: strings.NewReader("all\n"), ErrOut: &out}, "prod", c.r)
			if err != nil || len(allow) > 0 {
				t.Errorf("allowed %v, %v", allow, err)
			}
			if !strings.Contains(out.String(), c.want) || c.not != "" && strings.Contains(out.String(), c.not) {
				t.Errorf("said:\n%s", out.String())
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	for in, want := range map[string][]string{"\n": nil, "": nil, "shop\n": {"shop"}, " shop, team-* ,x\r\n": {"shop", "team-*", "x"}, "shop": {"shop"}, "*\nshop\n": {"*"}} {
		if got, err := answer(t.Context(), strings.NewReader(in)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %v, %v; want %v", in, got, err, want)
		}
	}
	if _, err := answer(t.Context(), strings.NewReader("No Way!\n")); err == nil {
		t.Error("what is no name is taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, _ := io.Pipe()
	if _, err := answer(ctx, in); err == nil {
		t.Error("it goes on waiting")
	}
}
