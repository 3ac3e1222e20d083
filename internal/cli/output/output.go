// Package output is -o of the verbs of the command line: the formats of
// kubectl, printed by its own printers, and a verb's own table where none is asked
// for.
package output

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/kubectl/pkg/cmd/get"

	"github.com/hanse-dev/hanse/internal/cli/args"
)

const (
	// Wide is the format of a table with more columns.
	Wide = "wide"
	// Name is the format of names alone, a line each.
	Name = "name"
)

// Flags are -o of one verb, and what belongs to it.
type Flags struct {
	format    string
	own       []string // formats that the verb prints itself
	structure *genericclioptions.JSONYamlPrintFlags
	name      *genericclioptions.NamePrintFlags // nil: there is nothing that has one
	template  *genericclioptions.KubeTemplatePrintFlags
	columns   *get.CustomColumnsPrintFlags // nil: there are no objects
}

// ForObjects makes the flags of a verb that shows objects of the API. own are the
// formats that the verb prints itself, Wide if any.
func ForObjects(own ...string) *Flags {
	f := ForValues(own...)
	f.name = genericclioptions.NewNamePrintFlags("")
	f.columns = get.NewCustomColumnsPrintFlags()
	return f
}

// ForValues makes the flags of a verb that shows what is no object of the API. own
// are the formats that the verb prints itself: Wide and Name, if any.
func ForValues(own ...string) *Flags {
	return &Flags{
		own:       own,
		structure: genericclioptions.NewJSONYamlPrintFlags(),
		template:  genericclioptions.NewKubeTemplatePrintFlags(),
	}
}

// Bind adds the flags to a verb, which then fails on a format that it does not have
// before it does anything.
func (f *Flags) Bind(cmd *cobra.Command) {
	if f.name != nil {
		f.structure.AddFlags(cmd)
	}
	f.template.AddFlags(cmd)
	cmd.Flags().StringVarP(&f.format, "output", "o", "", fmt.Sprintf("Output format. One of: (%s).", strings.Join(f.formats(), ", ")))
	args.CompleteWith(cmd, "output", f.formats)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if f.ForPeople() || slices.Contains(f.own, f.format) {
			return nil
		}
		_, err := f.printer()
		return err
	}
}

// formats are all that -o takes.
func (f *Flags) formats() []string {
	all := slices.Concat(f.structure.AllowedFormats(), f.name.AllowedFormats(), f.template.AllowedFormats(), f.own)
	if f.columns != nil {
		all = append(all, f.columns.AllowedFormats()...)
	}
	slices.Sort(all)
	return all
}

// ForPeople says whether it is a table that is to be printed, wide or not.
func (f *Flags) ForPeople() bool {
	return (f.format == "" || f.format == Wide && slices.Contains(f.own, Wide)) && *f.template.TemplateArgument == ""
}

// printer is cli-runtime's for the format.
func (f *Flags) printer() (printers.ResourcePrinter, error) {
	format := f.format
	if format == "" {
		format = "go-template" // --template alone
	}
	options := []func(string) (printers.ResourcePrinter, error){f.structure.ToPrinter, f.template.ToPrinter}
	if f.name != nil {
		options = append(options, f.name.ToPrinter)
	}
	if f.columns != nil {
		f.columns.TemplateArgument = *f.template.TemplateArgument
		options = append(options, f.columns.ToPrinter)
	}
	for _, toPrinter := range options {
		if p, err := toPrinter(format); !genericclioptions.IsNoCompatiblePrinterError(err) {
			return p, err
		}
	}
	return nil, genericclioptions.NoCompatiblePrinterError{OutputFormat: &f.format, AllowedFormats: f.formats()}
}

// Result is what a verb shows.
type Result struct {
	// Content is an object of the API, or else what encoding/json makes an object
	// of.
	Content any
	// Names are printed by -o name where Content is no object of the API.
	Names []string
	// Table prints what a person reads.
	Table func(w io.Writer, wide bool) error
}

// Print prints the result in the format that was asked for.
func (f *Flags) Print(w io.Writer, r Result) error {
	switch {
	case f.ForPeople():
		return r.Table(w, f.format == Wide)
	case f.format == Name && f.name == nil:
		for _, name := range r.Names {
			if _, err := fmt.Fprintln(w, name); err != nil {
				return err
			}
		}
		return nil
	}
	p, err := f.printer()
	if err != nil {
		return err
	}
	object, ok := r.Content.(runtime.Object)
	if !ok {
		object = value{r.Content}
	}
	return p.PrintObj(object, w)
}

// value lets printers of objects print what is none.
type value struct{ content any }

// GetObjectKind is a kind that is not printed: without one, printers refuse.
func (value) GetObjectKind() schema.ObjectKind {
	return &metav1.TypeMeta{APIVersion: "v1", Kind: "Value"}
}

func (v value) DeepCopyObject() runtime.Object { return v }

func (v value) MarshalJSON() ([]byte, error) { return json.Marshal(v.content) }
