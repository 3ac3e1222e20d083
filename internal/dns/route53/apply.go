package route53

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/hanse-dev/hanse/internal/dns/provider"
)

// Limits of one request. An UPSERT would count twice: a set is replaced by DELETE
// and CREATE instead, which also fails if it is not what was read.
const (
	maxRecords    = 1000
	maxCharacters = 32000
)

// job is a change on its way.
type job struct {
	index   int // into the errors
	name    string
	changes []types.Change
	units   [][]types.Change // the same, in parts that must not be made apart
}

// cost of changes in records and characters.
func cost(changes []types.Change) (records, characters int) {
	for _, c := range changes {
		records += max(1, len(c.ResourceRecordSet.ResourceRecords))
		for _, v := range c.ResourceRecordSet.ResourceRecords {
			characters += len(aws.ToString(v.Value))
		}
	}
	return records, characters
}

// Apply sends changes in as few batches as the limits allow. A batch is made as a
// whole or not at all; one that is refused is divided until what is wrong stands
// alone. A change that is larger than a batch is made in several, in order.
func (z *Zone) Apply(ctx context.Context, changes []provider.Change) []error {
	errs := make([]error, len(changes))
	lacking := z.ensureChecks(ctx, changes)
	var batch []job
	records, characters := 0, 0
	flush := func() {
		z.send(ctx, batch, errs)
		batch, records, characters = nil, 0, 0
	}
	for i, c := range changes {
		units, err := z.translate(c, lacking)
		if errs[i] = err; err != nil && !errors.Is(err, errLacking) {
			continue
		}
		translated := slices.Concat(units...)
		r, n := cost(translated)
		if records+r > maxRecords || characters+n > maxCharacters {
			flush()
		}
		if r > maxRecords || n > maxCharacters {
			errs[i] = errors.Join(errs[i], z.sendLarge(ctx, job{i, c.Name, translated, units}))
			continue
		}
		batch = append(batch, job{i, c.Name, translated, units})
		records, characters = records+r, characters+n
	}
	flush()
	return errs
}

// errLacking: a set is written without the health check that it should have.
var errLacking = errors.New("it is answered without its health check")

// translate makes the steps of a change those of the API: a part for each, but one
// for a TXT record that is created and the set that it is about.
func (z *Zone) translate(c provider.Change, lacking map[string]error) ([][]types.Change, error) {
	var units [][]types.Change
	var without error
	glue := false
	for _, s := range c.Steps {
		var out []types.Change
		if glue {
			out, units = units[len(units)-1], units[:len(units)-1]
		}
		glue = s.Old == nil && s.New != nil && s.New.Type == "TXT"
		if s.Old != nil {
			old, err := z.write(s.Old)
			if err != nil {
				return nil, fmt.Errorf("could not take away %s: %w", s.Old, err)
			}
			out = append(out, types.Change{Action: types.ChangeActionDelete, ResourceRecordSet: old})
		}
		if s.New == nil {
			units = append(units, out)
			continue
		}
		wanted := *s.New
		if err := lacking[wanted.Health]; err != nil && wanted.Health != "" {
			wanted.Health = ""
			without = fmt.Errorf("%s: %w: %w", strings.TrimSuffix(c.Name, "."), errLacking, z.explain("create the health check", err))
		}
		set, err := z.write(&wanted)
		if err != nil {
			return nil, fmt.Errorf("could not write %s: %w", wanted, err)
		}
		units = append(units, append(out, types.Change{Action: types.ChangeActionCreate, ResourceRecordSet: set}))
	}
	return units, without
}

// send makes a batch, or as much of it as can be made.
func (z *Zone) send(ctx context.Context, batch []job, errs []error) {
	if len(batch) == 0 {
		return
	}
	var changes []types.Change
	for _, j := range batch {
		changes = append(changes, j.changes...)
	}
	err := z.change(ctx, changes)
	switch {
	case err == nil:
	case len(batch) == 1 || !refused(err):
		for _, j := range batch {
			errs[j.index] = errors.Join(errs[j.index], z.explain("change "+strings.TrimSuffix(j.name, "."), err))
		}
	default:
		for _, part := range divide(batch, err) {
			z.send(ctx, part, errs)
		}
	}
}

// sendLarge makes a change in several batches.
func (z *Zone) sendLarge(ctx context.Context, j job) error {
	for len(j.units) > 0 {
		batch, n := slices.Clone(j.units[0]), 1
		for ; n < len(j.units); n++ {
			more := append(slices.Clip(batch), j.units[n]...)
			if r, c := cost(more); r > maxRecords || c > maxCharacters {
				break
			}
			batch = more
		}
		if err := z.change(ctx, batch); err != nil {
			return z.explain("change "+strings.TrimSuffix(j.name, "."), err)
		}
		j.units = j.units[n:]
	}
	return nil
}

// change asks for a batch, and notes that it takes time to arrive.
func (z *Zone) change(ctx context.Context, changes []types.Change) error {
	out, err := z.client.ChangeResourceRecordSets(ctx, &api.ChangeResourceRecordSetsInput{HostedZoneId: &z.id, ChangeBatch: &types.ChangeBatch{Changes: changes}})
	if err != nil {
		return err
	}
	if out.ChangeInfo != nil && out.ChangeInfo.Status != types.ChangeStatusInsync {
		z.unsettled = append(z.unsettled, strings.TrimPrefix(aws.ToString(out.ChangeInfo.Id), "/change/"))
	}
	return nil
}

// refused says whether the fault is with a change rather than with the request.
func refused(err error) bool {
	var batch *types.InvalidChangeBatch
	var input *types.InvalidInput
	var check *types.NoSuchHealthCheck
	return errors.As(err, &batch) || errors.As(err, &input) || errors.As(err, &check)
}

// divide parts what an error names from the rest; if it names nothing, or all, in
// halves.
func divide(batch []job, err error) [][]job {
	named := culprits(err)
	var parts [][]job
	var rest []job
	for _, j := range batch {
		if named[j.name] {
			parts = append(parts, []job{j})
		} else {
			rest = append(rest, j)
		}
	}
	if len(parts) == 0 || len(parts) > maxAlone {
		return [][]job{batch[:len(batch)/2], batch[len(batch)/2:]}
	}
	return slices.Insert(parts, 0, rest)
}

// maxAlone is how many changes are worth a request of their own: with more,
// halving is faster if only some of them are bad.
const maxAlone = 8

// culprits are the names that the messages of an InvalidChangeBatch are about. A
// name of the registry stands for the one that it is about.
func culprits(err error) map[string]bool {
	names := map[string]bool{}
	var batch *types.InvalidChangeBatch
	if !errors.As(err, &batch) {
		return names
	}
	for _, m := range append(batch.Messages, batch.ErrorMessage()) {
		for _, found := range messageName().FindAllStringSubmatch(m, -1) {
			name := normal(found[1] + found[2])
			names[name] = true
			if label, rest, ok := strings.Cut(name, "."); ok && rest != "" && strings.HasPrefix(label, "_hanse-") {
				names[rest], names["*."+rest] = true, true
			}
		}
	}
	return names
}

// messageName matches names as in "[name='www.example.org.', type='A']" and "with
// DNS name www.example.org.".
func messageName() *regexp.Regexp {
	return regexp.MustCompile(`name='([^']*)'|DNS name (\S+?),?(?:\s|$)`)
}

// Settled says whether all name servers have what was changed.
func (z *Zone) Settled(ctx context.Context) (bool, error) {
	for len(z.unsettled) > 0 {
		out, err := z.client.GetChange(ctx, &api.GetChangeInput{Id: &z.unsettled[0]})
		var gone *types.NoSuchChange
		switch {
		case errors.As(err, &gone): // long ago
		case err != nil:
			return false, z.explain("ask whether a change has arrived", err)
		case out.ChangeInfo.Status != types.ChangeStatusInsync:
			return false, nil
		}
		z.unsettled = z.unsettled[1:]
	}
	return true, nil
}
