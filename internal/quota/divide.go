package quota

import "slices"

// share is a cluster's of one resource, during a division.
type share struct {
	Cluster
	may  Amount // the most that it may have now
	used Amount
	to   Amount // what it is to have in the end
}

// divide divides one resource.
func divide(name string, total Amount, clusters []Cluster, out map[string]Part) {
	var all, in []*share
	free := total
	for _, c := range clusters {
		hard, has := c.Part.Hard[name]
		s := &share{Cluster: c, may: max(hard, c.Part.Had[name]), used: c.Used[name]}
		if shown, known := c.Shown[name]; known && has && shown <= hard {
			s.may = hard // it is confirmed
		}
		switch all = append(all, s); {
		case c.Lost:
		case c.Away:
			free -= s.may
		case c.Permitted:
			s.to = hard
			in = append(in, s)
		}
	}
	aim(in, max(0, free))
	settle(name, total, all, out)
}

// aim sets what clusters are to have in the end, which adds up to free.
func aim(in []*share, free Amount) {
	sum := Amount(0)
	for _, s := range in {
		sum += s.to
	}
	headroom := func(s *share) Amount { return s.to - s.used }
	set := func(s *share, n Amount) { s.to = n + s.used }
	switch rest := free - sum; {
	case rest > 0:
		to := wanting(in)
		if len(to) == 0 {
			to = in
		}
		level(to, headroom, set, rest)
	case rest < 0:
		rest = -rest
		rest -= lower(in, headroom, set, func(*share) Amount { return 0 }, rest)
		lower(in, func(s *share) Amount { return s.to }, func(s *share, n Amount) { s.to = n }, func(*share) Amount { return 0 }, rest)
	default:
		shift(in, headroom, set)
	}
}

// shift moves a step from clusters that do not use what they have to those that have used most of it.
func shift(in []*share, headroom func(*share) Amount, set func(*share, Amount)) {
	var to, from []*share
	var asked, spare Amount
	for _, s := range in {
		if s.wants() {
			to = append(to, s)
			asked += max(1, s.to/2)
		} else if more := s.to - s.reserved(); more > 0 {
			from = append(from, s)
			spare += more
		}
	}
	moved := lower(from, headroom, set, func(s *share) Amount { return s.reserved() - s.used }, min(asked, spare))
	level(to, headroom, set, moved)
}

func wanting(in []*share) []*share {
	return slices.DeleteFunc(slices.Clone(in), func(s *share) bool { return !s.wants() })
}

// wants says whether a cluster has used so much that pods may not start there soon.
func (s *share) wants() bool { return (s.used > 0 || s.Runs) && (s.to-s.used) <= s.to/8 }

// reserved is what a cluster keeps of what others want: what it uses and a quarter more, so that a little more use there does not
// take it back. One in which nothing is to run keeps nothing.
func (s *share) reserved() Amount {
	if s.used == 0 && !s.Runs {
		return 0
	}
	return s.used + 1 + s.used/4
}

// settle says what can be had now: what is to be less at once, what is to be more as far as the total allows while others may
// have what they have.
func settle(name string, total Amount, all []*share, out map[string]Part) {
	budget := total
	var rising []*share
	now := make(map[*share]Amount, len(all))
	for _, s := range all {
		if !s.Lost {
			budget -= s.may
		}
		if now[s] = min(s.to, s.may); !s.Away && !s.Lost && s.to > s.may {
			rising = append(rising, s)
		}
	}
	budget = max(0, budget)
	for _, s := range rising { // in order: the same input has the same division
		more := min(s.to-s.may, budget)
		now[s] += more
		budget -= more
	}
	for _, s := range all {
		p, known := out[s.Name]
		switch {
		case !known:
			continue
		case s.Away && !s.Lost:
			keep(name, s, &p)
		case s.may > now[s]:
			p.Hard[name] = now[s]
			p.had(name, s.may)
		default:
			p.Hard[name] = now[s]
		}
		out[s.Name] = p
	}
}

// keep leaves a cluster that is away what it has.
func keep(name string, s *share, p *Part) {
	if hard, has := s.Part.Hard[name]; has {
		p.Hard[name] = hard
	} else {
		p.Hard[name] = 0
	}
	if had, has := s.Part.Had[name]; has {
		p.had(name, had)
	}
}

func (p *Part) had(name string, n Amount) {
	if p.Had == nil {
		p.Had = map[string]Amount{}
	}
	p.Had[name] = n
}

// level raises values by amount in all, the lowest first. Of those that are level, the first get the remainder.
func level(all []*share, get func(*share) Amount, set func(*share, Amount), amount Amount) {
	if amount <= 0 || len(all) == 0 {
		return
	}
	upTo := func(to Amount) (sum Amount) {
		for _, s := range all {
			sum += max(0, to-get(s))
		}
		return sum
	}
	low, high := get(all[0]), get(all[0])
	for _, s := range all {
		low, high = min(low, get(s)), max(high, get(s))
	}
	for high += amount; low < high; { // upTo(low) <= amount
		if mid := low + (high-low+1)/2; upTo(mid) <= amount {
			low = mid
		} else {
			high = mid - 1
		}
	}
	rest := amount - upTo(low)
	for _, s := range all {
		n := max(get(s), low)
		if rest > 0 && n == low {
			n++
			rest--
		}
		set(s, n)
	}
}

// lower lowers values by amount in all, the highest first and none below its floor, and returns by how much it did.
func lower(all []*share, get func(*share) Amount, set func(*share, Amount), floor func(*share) Amount, amount Amount) (lowered Amount) {
	if amount <= 0 || len(all) == 0 {
		return 0
	}
	downTo := func(to Amount) (sum Amount) {
		for _, s := range all {
			sum += max(0, get(s)-max(to, floor(s)))
		}
		return sum
	}
	low, high := Amount(0), Amount(0)
	for _, s := range all {
		low, high = min(low, floor(s)), max(high, get(s))
	}
	for low < high { // downTo(high) <= amount
		if mid := low + (high-low)/2; downTo(mid) <= amount {
			high = mid
		} else {
			low = mid + 1
		}
	}
	rest := amount - downTo(high)
	for i := len(all) - 1; i >= 0; i-- {
		s := all[i]
		n := min(get(s), max(high, floor(s)))
		if rest > 0 && n == high && n > floor(s) {
			n--
			rest--
		}
		lowered += get(s) - n
		set(s, n)
	}
	return lowered
}
