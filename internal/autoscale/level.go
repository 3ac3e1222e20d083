package autoscale

// fill raises values by amount in all, the lowest first and none above its
// limit, and returns by how much it did. Of those that are level, the first get
// the remainder.
func fill(parts []*part, get func(*part) int64, set func(*part, int64), limit func(*part) int64, amount int64) (filled int64) {
	if amount <= 0 {
		return 0
	}
	upTo := func(level int64) (sum int64) {
		for _, p := range parts {
			sum += max(0, min(level, limit(p))-get(p))
		}
		return sum
	}
	low, high := int64(0), int64(1<<32) // upTo(low) <= amount
	for low < high {
		if mid := (low + high + 1) / 2; upTo(mid) <= amount {
			low = mid
		} else {
			high = mid - 1
		}
	}
	rest := amount - upTo(low)
	for _, p := range parts {
		n := max(get(p), min(low, limit(p)))
		if rest > 0 && n == low && n < limit(p) {
			n++
			rest--
		}
		filled += n - get(p)
		set(p, n)
	}
	return filled
}

// drain lowers values by amount in all, the highest first and none below its
// floor, and returns by how much it did. Of those that are level, the last give
// the remainder.
func drain(parts []*part, get func(*part) int64, set func(*part, int64), floor func(*part) int64, amount int64) (drained int64) {
	if amount <= 0 {
		return 0
	}
	downTo := func(level int64) (sum int64) {
		for _, p := range parts {
			sum += max(0, get(p)-max(level, floor(p)))
		}
		return sum
	}
	low, high := int64(0), int64(1<<32) // downTo(high) <= amount
	for low < high {
		if mid := (low + high) / 2; downTo(mid) <= amount {
			high = mid
		} else {
			low = mid + 1
		}
	}
	rest := amount - downTo(high)
	for i := len(parts) - 1; i >= 0; i-- {
		p := parts[i]
		n := min(get(p), max(high, floor(p)))
		if rest > 0 && n == high && n > floor(p) {
			n--
			rest--
		}
		drained += get(p) - n
		set(p, n)
	}
	return drained
}
