package override

import (
	"fmt"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Check says what is wrong with an override whatever it is applied to, that the
// CRD cannot say; nil if nothing is.
func Check(o Override) *Error {
	fail := func(field string, err error) *Error { return &Error{Override: o.Name, Field: field, Err: err} }
	for i := range o.Spec.Images {
		if err := checkImage(&o.Spec.Images[i]); err != nil {
			return fail(fmt.Sprintf("images[%d]", i), err)
		}
	}
	for i, op := range o.Spec.JSONPatch {
		if _, err := operation(op); err != nil {
			return fail(fmt.Sprintf("jsonPatch[%d]", i), err)
		}
	}
	if o.Spec.StrategicMerge != nil {
		patch, err := object(o.Spec.StrategicMerge.Raw)
		if err == nil {
			_, status := patch["status"]
			if status {
				err = fmt.Errorf("status cannot be overridden")
			}
		}
		if err != nil {
			return fail("strategicMerge", err)
		}
	}
	return nil
}

func checkImage(o *v1alpha1.ImageOverride) error {
	_, err := newImage("registry.example/any:tag", o)
	return err
}
