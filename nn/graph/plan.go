package graph

import "sort"

// storage is a piece of memory shared by one or several slots.
type storage struct {
	size     int
	from, to int // first and last instruction that touches it
	offset   int
	external bool
	parent   int // union-find
}

// plan gives every storage an offset such that those alive at the same time
// do not overlap, largest first; it returns the total size.
func plan(mem []storage) int {
	var order []int
	for i := range mem {
		if mem[i].parent == i && !mem[i].external && mem[i].from >= 0 {
			mem[i].size = (mem[i].size + 15) &^ 15
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return mem[order[a]].size > mem[order[b]].size })
	var placed []int // by offset
	total := 0
	for _, i := range order {
		at := 0
		for _, j := range placed {
			if mem[j].from > mem[i].to || mem[j].to < mem[i].from {
				continue
			}
			if at+mem[i].size <= mem[j].offset {
				break
			}
			at = max(at, mem[j].offset+mem[j].size)
		}
		mem[i].offset = at
		total = max(total, at+mem[i].size)
		k := sort.Search(len(placed), func(k int) bool { return mem[placed[k]].offset > at })
		placed = append(placed, 0)
		copy(placed[k+1:], placed[k:])
		placed[k] = i
	}
	return total
}
