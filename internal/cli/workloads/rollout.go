package workloads

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/placement"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// rolloutManager is the field manager of what hanse rollout writes.
const rolloutManager = "hanse-rollout"

// NewRolloutCommand is hanse rollout.
func NewRolloutCommand(s genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "Show and control how a change goes from cluster to cluster",
		Long: `Show and control how a change of a Deployment, StatefulSet or DaemonSet goes from
cluster to cluster. A change goes everywhere at once, unless a placement policy with
spec.rollout lets it go step by step.`,
		Args: args.RejectUnknown,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRolloutStatusCommand(s), newRolloutHistoryCommand(s), newRolloutUndoCommand(s),
		newRolloutHoldCommand(s, "pause", "Pause a rollout before its next step", v1alpha1.RolloutPaused),
		newRolloutHoldCommand(s, "resume", "Resume a rollout that was paused, or that stopped by itself", ""))
	return cmd
}

// rolloutFlags are those of all verbs below hanse rollout.
type rolloutFlags struct {
	hub       hub.Flags
	namespace string
	verb      string
}

func (o *rolloutFlags) bind(cmd *cobra.Command, verb string) {
	o.verb = verb
	o.hub.Bind(cmd)
	cmd.Flags().StringVarP(&o.namespace, "namespace", "n", metav1.NamespaceDefault, "namespace of the object")
}

func (o *rolloutFlags) example() string { return "hanse rollout " + o.verb + " deployment/web" }

// rolloutTarget is the workload that a verb is about, and the way to it.
type rolloutTarget struct {
	host      string
	client    dynamic.Interface
	resource  schema.GroupVersionResource
	namespace string
	name      string
	asked     string // as it was named
	shown     string // as kubectl shows it, once it was read
}

func (o *rolloutFlags) target(object string) (*rolloutTarget, error) {
	cfg, err := o.hub.RestConfig()
	if err != nil {
		return nil, err
	}
	resource, name, err := hub.FindResource(cfg, object, o.example())
	if err != nil {
		return nil, err
	}
	if !rollout.Rolls(resource.GroupResource()) {
		return nil, fmt.Errorf("%s does not roll out: a change of %s goes everywhere at once. Try: a deployment, statefulset or daemonset", object, resource.Resource)
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, access.HubError(cfg.Host, err)
	}
	return &rolloutTarget{host: cfg.Host, client: client, resource: resource, namespace: o.namespace, name: name, asked: object}, nil
}

func (t *rolloutTarget) objects() dynamic.ResourceInterface {
	return t.client.Resource(t.resource).Namespace(t.namespace)
}

func (t *rolloutTarget) get(ctx context.Context) (*unstructured.Unstructured, error) {
	obj, err := t.objects().Get(ctx, t.name, metav1.GetOptions{})
	if err != nil {
		return nil, t.failed("read", err)
	}
	t.shown = shownAs(obj)
	return obj, nil
}

// shownAs is an object as kubectl shows it: deployment.apps/web.
func shownAs(obj *unstructured.Unstructured) string {
	kind := obj.GroupVersionKind().GroupKind()
	return schema.GroupKind{Group: kind.Group, Kind: strings.ToLower(kind.Kind)}.String() + "/" + obj.GetName()
}

// failed words an error of the hub.
func (t *rolloutTarget) failed(doing string, err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no %s in namespace %s. Try: -n NAMESPACE, or kubectl get %s -A", t.asked, t.namespace, t.resource.Resource)
	case apierrors.ReasonForError(err) != metav1.StatusReasonUnknown:
		return fmt.Errorf("cannot %s %s: %w", doing, t.asked, err)
	}
	return access.HubError(t.host, err)
}

// placement is what the hub says of the workload; nil if it says nothing yet.
func (t *rolloutTarget) placement(ctx context.Context) (*unstructured.Unstructured, error) {
	u, err := t.client.Resource(v1alpha1.Resource("placements")).Namespace(t.namespace).Get(ctx, placement.Name(t.resource.GroupResource(), t.name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, t.failed("read the placement of", err)
	}
	return u, nil
}

func newRolloutHoldCommand(s genericiooptions.IOStreams, verb, short, value string) *cobra.Command {
	var o rolloutFlags
	cmd := &cobra.Command{
		Use: verb + " KIND/NAME", Short: short,
		Example: "  hanse rollout " + verb + " deployment/web",
		Args:    args.One("KIND/NAME", "hanse rollout "+verb+" deployment/web"),
		RunE: func(cmd *cobra.Command, names []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), hub.Timeout)
			defer cancel()
			t, err := o.target(names[0])
			if err != nil {
				return err
			}
			said, err := t.hold(ctx, value)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "%s %s\n", t.shown, said)
			return nil
		},
	}
	o.bind(cmd, verb)
	return cmd
}

// hold sets AnnotationRollout, or takes it off where value is empty. What it returns
// says what that means.
func (t *rolloutTarget) hold(ctx context.Context, value string) (said string, err error) {
	obj, err := t.get(ctx)
	if err != nil {
		return "", err
	}
	was := obj.GetAnnotations()[v1alpha1.AnnotationRollout]
	state, _ := rollout.Parse(obj.GetAnnotations()[v1alpha1.AnnotationRolloutState])
	switch {
	case was == value && value == "":
		return "", fmt.Errorf("%s is neither paused nor stopped", t.asked)
	case was == value:
		return "", fmt.Errorf("%s is paused already. Try: hanse rollout resume %s", t.asked, t.asked)
	case was == v1alpha1.RolloutStopped && value != "":
		return "", fmt.Errorf("%s has stopped already. Try: hanse rollout undo %s, or hanse rollout resume %s", t.asked, t.asked, t.asked)
	}
	var set any
	if value != "" {
		set = value
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": obj.GetResourceVersion(), // of which we know what the annotation said
		"annotations":     map[string]any{v1alpha1.AnnotationRollout: set},
	}})
	if err != nil {
		return "", fmt.Errorf("encode a patch: %w", err)
	}
	if _, err := t.objects().Patch(ctx, t.name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: rolloutManager}); err != nil {
		return "", t.failed("change", err)
	}
	switch {
	case value != "" && state == nil:
		return "paused: no policy lets its changes go step by step yet, and until one does they go everywhere at once", nil
	case value != "":
		return "paused", nil
	case was == v1alpha1.RolloutStopped && state != nil && len(state.Failed) > 0:
		return "resumed, without waiting for " + strings.Join(state.Failed, ", "), nil
	}
	return "resumed", nil
}
