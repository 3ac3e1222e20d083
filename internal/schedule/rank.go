package schedule

import "hash/fnv"

// hash is a name's part of a rank. The rank of a cluster for one workload is made of
// the hashes of both: the lower goes first. It depends on nothing else, so a cluster
// that joins or leaves does not change the order of the others.
func hash(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name)) // a hash.Hash never returns an error
	return h.Sum64()
}

// nameHashes is the hash of each cluster's name.
func (s *Snapshot) nameHashes() []uint64 {
	s.hash.Do(func() {
		s.hashes = make([]uint64, len(s.clusters))
		for i := range s.clusters {
			s.hashes[i] = hash(s.clusters[i].Name)
		}
	})
	return s.hashes
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
