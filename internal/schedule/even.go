package schedule

// IsEven says whether the shares are those that Schedule gives to a workload
// with this key, without Current, when the clusters, by name, are ready and
// nothing else is known of them or asked for. Shares of no replicas do not
// count. The shares are by name, too.
func IsEven(key string, total int32, clusters []string, shares []Share) bool {
	n := int64(len(clusters))
	if n == 0 {
		return !someReplicas(shares)
	}
	each, more := max(0, int64(total))/n, max(0, int64(total))%n
	seed := mix(hash(key))
	var last, first uint64 // ranks of those with one more, and of those without
	with, without := int64(0), int64(0)
	for _, name := range clusters {
		for len(shares) > 0 && shares[0].Cluster < name {
			if shares[0].Replicas != 0 {
				return false
			}
			shares = shares[1:]
		}
		has := int64(0)
		if len(shares) > 0 && shares[0].Cluster == name {
			has, shares = int64(shares[0].Replicas), shares[1:]
		}
		switch {
		case has == each && more == 0:
		case has == each:
			if at := mix(hash(name) ^ seed); without == 0 || at < first {
				first = at
			}
			without++
		case has == each+1 && more > 0:
			last = max(last, mix(hash(name)^seed))
			with++
		default:
			return false
		}
	}
	return with == more && (more == 0 || last < first) && !someReplicas(shares)
}

func someReplicas(shares []Share) bool {
	for i := range shares {
		if shares[i].Replicas != 0 {
			return true
		}
	}
	return false
}
