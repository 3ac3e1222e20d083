package tenants

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// fieldManager is that of what these verbs write.
const fieldManager = "hanse-cli"

// collection is one of the kinds at a hub, as a user of it sees them.
type collection struct {
	kind, resource, noun string
	config               *rest.Config
	client               dynamic.Interface
}

func organizations(at *hub.Flags) (collection, error) {
	return collectionAt(at, "Organization", "organizations", "organization")
}

func workspaces(at *hub.Flags) (collection, error) {
	return collectionAt(at, "Workspace", "workspaces", "workspace")
}

func collectionAt(at *hub.Flags, kind, resource, noun string) (collection, error) {
	cfg, err := at.RestConfig()
	if err != nil {
		return collection{}, err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return collection{}, access.HubError(cfg.Host, err)
	}
	return collection{kind, resource, noun, cfg, client}, nil
}

// failed is an error of the hub for the user.
func (c collection) failed(name string, err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no %s %s, or you may not see it. Try: hanse %s list", c.noun, name, short(c.noun))
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("there is a %s %s already. Try: hanse %s show %s", c.noun, name, short(c.noun), name)
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return err // it says which right is missing, or what is wrong
	}
	return access.HubError(c.config.Host, err)
}

func short(noun string) string {
	if noun == "organization" {
		return "org"
	}
	return noun
}

func (c collection) get(ctx context.Context, name string, into any) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, hub.Timeout)
	defer cancel()
	u, err := c.client.Resource(v1alpha1.Resource(c.resource)).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, c.failed(name, err)
	}
	return u, hub.Decode(u, into)
}

// list lists all of them, or those that the user may see: RBAC lets nobody list what they may see by name only.
func (c collection) list(ctx context.Context) (*unstructured.UnstructuredList, error) {
	ctx, cancel := context.WithTimeout(ctx, hub.Timeout)
	defer cancel()
	list, err := c.client.Resource(v1alpha1.Resource(c.resource)).List(ctx, metav1.ListOptions{})
	if !apierrors.IsForbidden(err) {
		if err != nil {
			return nil, c.failed("", err)
		}
		return list, nil
	}
	names, err := c.visible(ctx)
	if err != nil {
		return nil, access.HubError(c.config.Host, err)
	}
	list = &unstructured.UnstructuredList{}
	list.SetAPIVersion(v1alpha1.GroupVersion().String())
	list.SetKind(c.kind + "List")
	for _, name := range names {
		u, err := c.client.Resource(v1alpha1.Resource(c.resource)).Get(ctx, name, metav1.GetOptions{})
		switch {
		case err == nil:
			list.Items = append(list.Items, *u)
		case !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err): // it has gone meanwhile
			return nil, access.HubError(c.config.Host, err)
		}
	}
	return list, nil
}

// visible are the names of what the user may get, as the hub's RBAC has them.
func (c collection) visible(ctx context.Context) (names []string, err error) {
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return nil, err
	}
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: metav1.NamespaceDefault}}
	review, err = client.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	for _, rule := range review.Status.ResourceRules {
		if slices.Contains(rule.Verbs, "get") && slices.Contains(rule.APIGroups, v1alpha1.GroupVersion().Group) && slices.Contains(rule.Resources, c.resource) {
			names = append(names, rule.ResourceNames...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// create makes one of a name with a spec.
func (c collection) create(ctx context.Context, name string, spec any, dryRun []string) error {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(spec)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": fields}}
	u.SetAPIVersion(v1alpha1.GroupVersion().String())
	u.SetKind(c.kind)
	u.SetName(name)
	ctx, cancel := context.WithTimeout(ctx, hub.Timeout)
	defer cancel()
	if _, err := c.client.Resource(v1alpha1.Resource(c.resource)).Create(ctx, u, metav1.CreateOptions{FieldManager: fieldManager, DryRun: dryRun}); err != nil {
		return c.failed(name, err)
	}
	return nil
}

// edit changes the spec of one, of which into is the kind, and again if somebody else does so meanwhile.
func (c collection) edit(ctx context.Context, name string, into func() any, change func(object any) (spec any, err error), dryRun []string) error {
	ctx, cancel := context.WithTimeout(ctx, hub.Timeout)
	defer cancel()
	at := c.client.Resource(v1alpha1.Resource(c.resource))
	var own error
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		u, err := at.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		object := into()
		var spec any
		if own = hub.Decode(u, object); own == nil {
			spec, own = change(object)
		}
		if own != nil {
			return nil
		}
		if u.Object["spec"], err = runtime.DefaultUnstructuredConverter.ToUnstructured(spec); err != nil {
			return err
		}
		_, err = at.Update(ctx, u, metav1.UpdateOptions{FieldManager: fieldManager, DryRun: dryRun})
		return err
	})
	if own != nil {
		return own
	}
	if err != nil {
		return c.failed(name, err)
	}
	return nil
}

// table prints rows in columns.
func table(w io.Writer, rows ...[]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = output.Dash(row[i])
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// accepted is the column of what the hub says of an object, with what is wrong.
func accepted(conditions []metav1.Condition) (ready, message string) {
	ready = "Unknown"
	for _, c := range conditions {
		if c.Type == v1alpha1.ConditionReady {
			ready = string(c.Status)
		}
		if c.Status != metav1.ConditionTrue && c.Message != "" && message == "" {
			message = c.Message
		}
	}
	return ready, message
}

// remove deletes one.
func (c collection) remove(ctx context.Context, name string, dryRun []string) error {
	ctx, cancel := context.WithTimeout(ctx, hub.Timeout)
	defer cancel()
	if err := c.client.Resource(v1alpha1.Resource(c.resource)).Delete(ctx, name, metav1.DeleteOptions{DryRun: dryRun}); err != nil {
		return c.failed(name, err)
	}
	return nil
}
