package schedule

import "hash/fnv"

// keyHash is a workload's part of its clusters' ranks.
func keyHash(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key)) // a hash.Hash never returns an error
	return h.Sum64()
}

// rank orders clusters for one workload: lower goes first. It depends on
// nothing but the workload and the cluster's name, so a cluster that joins or
// leaves does not change the order of the others.
func rank(seed uint64, cluster string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(cluster))
	return mix(h.Sum64() ^ mix(seed))
}

// mix spreads every bit of x over all bits (the finalizer of MurmurHash3): FNV
// alone leaves the high bits of similar names alike.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return x
}
