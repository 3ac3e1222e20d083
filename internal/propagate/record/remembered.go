package record

import (
	"fmt"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// remembered is a decide.Remembered as JSON.
type remembered struct {
	Clusters *decide.RememberedClusters `json:",omitempty"`
	Objects  []rememberedObject         `json:",omitempty"`
	Rest     *decide.RememberedRest     `json:",omitempty"`
}

// rememberedObject is a decide.RememberedObject as JSON. Its own fields take the place of those of the same name.
type rememberedObject struct {
	decide.RememberedObject
	Key      string
	Template *object `json:",omitempty"`
	// What of the template its object does not say.
	Progress  template.Progress
	Recorded  map[string]int32     // nil and empty differ
	Lapsed    bool                 `json:",omitempty"`
	Seen      map[string]*observed `json:",omitempty"`
	Recording *recording           `json:",omitempty"`
	Late      *recording           `json:",omitempty"`
}

// recording is a decide.Recording as JSON: its events are all about one template.
type recording struct {
	decide.Recording
	Tell []tell `json:",omitempty"`
}

type tell struct{ Type, Reason, Message string }

func encodeRemembered(in decide.Remembered) *remembered {
	out := &remembered{Clusters: in.Clusters, Rest: slimRest(in.Rest)}
	for _, o := range in.Objects {
		o.Turns = slimTurns(o.Turns)
		e := rememberedObject{RememberedObject: o, Key: o.Key.String(), Recording: encodeRecording(o.Recording), Late: encodeRecording(o.Late)}
		if t := o.Template; t != nil {
			e.Template, e.Progress, e.Recorded, e.Lapsed = encodeObject(t), t.Progress, t.Recorded, t.Lapsed
		}
		for cluster, seen := range o.Seen {
			if e.Seen == nil {
				e.Seen = make(map[string]*observed, len(o.Seen))
			}
			e.Seen[cluster] = encodeObserved(o.Key, seen)
		}
		out.Objects = append(out.Objects, e)
	}
	return out
}

func encodeRecording(r *decide.Recording) *recording {
	if r == nil {
		return nil
	}
	out := &recording{Recording: *r}
	for _, t := range r.Tell {
		out.Tell = append(out.Tell, tell{t.Type, t.Reason, t.Message})
	}
	return out
}

func (d *decoder) remembered(in *remembered) (out decide.Remembered, err error) {
	if in == nil {
		return out, fmt.Errorf("a recorded input Remembered is empty")
	}
	out.Clusters, out.Rest = in.Clusters, in.Rest
	if out.Clusters != nil {
		for _, c := range out.Clusters.Clusters {
			if c == nil {
				return out, fmt.Errorf("a recorded Cluster is empty")
			}
			c.Joined, c.Since = c.Joined.Local(), c.Since.Local() // as the API's decoders have it
		}
	}
	if out.Rest != nil {
		for _, p := range out.Rest.Pasts {
			wholeHistory(p.History)
		}
	}
	for i := range in.Objects {
		o, err := d.rememberedObject(&in.Objects[i])
		if err != nil {
			return out, err
		}
		out.Objects = append(out.Objects, o)
	}
	return out, nil
}

func (d *decoder) rememberedObject(in *rememberedObject) (out decide.RememberedObject, err error) {
	out = in.RememberedObject
	key, ok := template.ParseKey(in.Key)
	if !ok {
		return out, fmt.Errorf("a recorded object has no key: %q", in.Key)
	}
	out.Key = key
	if in.Template != nil {
		read, err := d.template(key.GR, in.Template)
		if err != nil {
			return out, err
		}
		t := *read
		t.Progress, t.Recorded, t.Lapsed = in.Progress, in.Recorded, in.Lapsed
		if out.Template = &t; t.Lapsed {
			d.templates[key] = &t // what is read next goes on from there
		}
	}
	out.Recording, out.Late = in.Recording.decode(out.Template), in.Late.decode(out.Template)
	for _, turn := range out.Turns {
		whole(turn.Template)
	}
	for cluster, seen := range in.Seen {
		if out.Seen == nil {
			out.Seen = make(map[string]*decide.Observed, len(in.Seen))
		}
		if o := d.observed(key, seen); o != nil {
			out.Seen[cluster] = o
		}
	}
	return out, nil
}

func (r *recording) decode(t *template.Template) *decide.Recording {
	if r == nil {
		return nil
	}
	out := r.Recording
	for _, one := range r.Tell {
		out.Tell = append(out.Tell, decide.Event{Template: t, Type: one.Type, Reason: one.Reason, Message: one.Message})
	}
	return &out
}
