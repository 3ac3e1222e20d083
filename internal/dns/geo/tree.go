package geo

import "github.com/oschwald/maxminddb-golang/v2"

// isTree says whether the search tree of a MaxMind DB is one: no node has two
// parents, but for the root of IPv4, which aliases as 2002::/16 lead to as well.
// Otherwise reading all networks of a small file might take for ever.
func isTree(data []byte, m maxminddb.Metadata) bool {
	size := int(m.RecordSize) / 4
	nodes := int(m.NodeCount)
	if size < 6 || size > 8 || nodes > len(data)/size {
		return false
	}
	children := func(node int) [2]int { return records(data[node*size : (node+1)*size]) }
	four := 0
	for range 96 {
		if m.IPVersion == 6 && four < nodes {
			four = children(four)[0]
		}
	}
	hasParent := make([]bool, nodes)
	for node := range nodes {
		for _, child := range children(node) {
			if child >= nodes {
				continue
			}
			if child == 0 || hasParent[child] && child != four {
				return false
			}
			hasParent[child] = true
		}
	}
	// Those below four have one parent each, so this ends.
	for below := []int{four}; len(below) > 0; {
		node := below[len(below)-1]
		below = below[:len(below)-1]
		if node >= nodes {
			continue
		}
		for _, child := range children(node) {
			if child == four {
				return false
			}
			below = append(below, child)
		}
	}
	return true
}

// records returns the two records of a node of 6, 7 or 8 bytes.
func records(n []byte) [2]int {
	three := func(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
	switch len(n) {
	case 6:
		return [2]int{three(n), three(n[3:])}
	case 7:
		return [2]int{int(n[3]>>4)<<24 | three(n), int(n[3]&0xf)<<24 | three(n[4:])}
	default:
		return [2]int{int(n[0])<<24 | three(n[1:]), int(n[4])<<24 | three(n[5:])}
	}
}
