package override

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// podPath is where a kind has its pods' metadata and spec; ok is false for a
// kind that makes no pods. The path of a Pod is empty.
func podPath(gk schema.GroupKind) (path []string, ok bool) {
	switch gk {
	case schema.GroupKind{Kind: "Pod"}:
		return nil, true
	case schema.GroupKind{Group: "batch", Kind: "CronJob"}:
		return []string{"spec", "jobTemplate", "spec", "template"}, true
	case schema.GroupKind{Kind: "PodTemplate"}:
		return []string{"template"}, true
	case schema.GroupKind{Group: "apps", Kind: "Deployment"}, schema.GroupKind{Group: "apps", Kind: "StatefulSet"},
		schema.GroupKind{Group: "apps", Kind: "DaemonSet"}, schema.GroupKind{Group: "apps", Kind: "ReplicaSet"},
		schema.GroupKind{Kind: "ReplicationController"}, schema.GroupKind{Group: "batch", Kind: "Job"}:
		return []string{"spec", "template"}, true
	}
	return nil, false
}

// pod is the map that holds the pods' metadata and spec, nil if there is none.
func pod(gk schema.GroupKind, content map[string]any) (template map[string]any, path string) {
	parts, ok := podPath(gk)
	if !ok {
		return nil, ""
	}
	template = content
	for _, part := range parts {
		template, _ = template[part].(map[string]any)
		path += part + "."
	}
	return template, path
}

// container is a container of a draft.
type container struct {
	fields map[string]any
	path   string // as spec.template.spec.containers[web]
}

// containers are those of a name, which has to be there; or all, with the init
// containers if they are asked for. A kind without pods has none.
func (d *draft) containers(name string, inits bool) ([]container, error) {
	template, path := pod(d.kind, d.content)
	spec, _ := template["spec"].(map[string]any)
	if spec == nil {
		return nil, nil
	}
	var found []container
	var names []string
	for _, list := range []string{"containers", "initContainers"} {
		items, _ := spec[list].([]any)
		for _, item := range items {
			fields, _ := item.(map[string]any)
			called, _ := fields["name"].(string)
			if fields == nil {
				continue
			}
			names = append(names, called)
			if called == name || name == "" && (inits || list == "containers") {
				found = append(found, container{fields, path + "spec." + list + "[" + called + "]"})
			}
		}
	}
	if name != "" && len(found) == 0 {
		return nil, fmt.Errorf("there is no container %q in the %s. Try: %s", name, d.kind.Kind, strings.Join(names, ", "))
	}
	return found, nil
}

func (d *draft) image(o *v1alpha1.ImageOverride) error {
	containers, err := d.containers(o.Container, true)
	if err != nil {
		return err
	}
	for _, c := range containers {
		before, _ := c.fields["image"].(string)
		after, err := newImage(before, o)
		if err != nil {
			return fmt.Errorf("%s.image: %w", c.path, err)
		}
		if after != before {
			c.fields["image"] = after
			d.changed(c.path+".image", after)
		}
	}
	return nil
}

// replicas sets spec.replicas of a kind that has one.
func (d *draft) replicas(n int32) error {
	spec, _ := d.content["spec"].(map[string]any)
	if spec == nil {
		return nil
	}
	if _, there := spec["replicas"]; !there && !divided(d.kind) {
		return nil
	}
	if before, _ := spec["replicas"].(int64); before != int64(n) || spec["replicas"] == nil {
		spec["replicas"] = int64(n)
		d.changed("spec.replicas", strconv.Itoa(int(n)))
	}
	return nil
}

// atMost lowers what says how many pods there are.
func (d *draft) atMost(n int64) {
	spec, _ := d.content["spec"].(map[string]any)
	for _, field := range []string{"replicas", "parallelism"} {
		if now, ok := spec[field].(int64); ok && now > n {
			spec[field] = n
			d.changed("spec."+field, strconv.FormatInt(n, 10))
		}
	}
}

// divided says whether a kind has spec.replicas, even where it is left out.
func divided(gk schema.GroupKind) bool {
	switch gk {
	case schema.GroupKind{Group: "apps", Kind: "Deployment"}, schema.GroupKind{Group: "apps", Kind: "StatefulSet"},
		schema.GroupKind{Group: "apps", Kind: "ReplicaSet"}, schema.GroupKind{Kind: "ReplicationController"}:
		return true
	}
	return false
}

func (d *draft) env(o *v1alpha1.EnvOverride) error {
	containers, err := d.containers(o.Container, false)
	if err != nil {
		return err
	}
	for _, c := range containers {
		before, _ := c.fields["env"].([]any)
		var env []any
		for _, item := range before {
			if name := variable(item); slices.Contains(o.Remove, name) {
				d.changed(c.path+".env["+name+"]", "removed")
			} else {
				env = append(env, item)
			}
		}
		for _, v := range o.Set {
			env = withVariable(env, v)
			d.changed(c.path+".env["+v.Name+"]", "set")
		}
		setList(c.fields, "env", env)
	}
	return nil
}

// setList sets a list, or leaves it out when it is empty.
func setList(fields map[string]any, name string, list []any) {
	if len(list) == 0 {
		delete(fields, name)
		return
	}
	fields[name] = list
}

// withVariable sets a variable where it is, or else adds it last: what comes
// later may refer to what comes before it.
func withVariable(env []any, v v1alpha1.EnvValue) []any {
	item := map[string]any{"name": v.Name, "value": v.Value}
	for i := range env {
		if variable(env[i]) == v.Name {
			env[i] = item
			return env
		}
	}
	return append(env, item)
}

func variable(item any) string {
	fields, _ := item.(map[string]any)
	name, _ := fields["name"].(string)
	return name
}

// words changes command or args of containers.
func (d *draft) words(field string, o *v1alpha1.ArgsOverride) error {
	containers, err := d.containers(o.Container, false)
	if err != nil {
		return err
	}
	for _, c := range containers {
		before, ok := c.fields[field].([]any)
		if !ok && c.fields[field] != nil {
			return errors.New(c.path + "." + field + " is not a list")
		}
		var after []any
		for _, w := range before {
			word, _ := w.(string)
			if o.Replace == nil && !slices.Contains(o.Remove, word) {
				after = append(after, w)
			}
		}
		for _, words := range [][]string{o.Replace, o.Append} {
			for _, w := range words {
				after = append(after, w)
			}
		}
		if !reflect.DeepEqual(before, after) {
			setList(c.fields, field, after)
			d.changed(c.path+"."+field, fmt.Sprintf("%d words", len(after)))
		}
	}
	return nil
}
