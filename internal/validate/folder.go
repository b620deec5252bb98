package validate

import (
	"maps"
	"slices"
	"strings"
)

// A file of one publication point may have the name of the directory of another. Both cannot be in one rsync tree: Routinator
// leaves out the publication point whose directory it is.

const ruleFolder = "6481-2"

// asFile is a directory's URI without the slash at its end, and what it would be a file of: the directory above and the name.
func asFile(directory string) (uri, above, name string) {
	uri = strings.TrimSuffix(directory, "/")
	slash := strings.LastIndexByte(uri, '/') + 1
	return uri, uri[:slash], uri[slash:]
}

// folders finds the publication points of a walked tree whose directory is also a file of another.
func (r *rules) folders(top *node) []Finding {
	listing := map[string][]*Manifest{} // by directory
	var all []*node
	var gather func(*node)
	gather = func(n *node) {
		if n == nil {
			return
		}
		if n.point != nil {
			all = append(all, n)
			listing[n.ca.cert.Repository] = append(listing[n.ca.cert.Repository], n.point.manifest)
		}
		for _, below := range n.below {
			gather(below)
		}
	}
	gather(top)
	var found []Finding
	for _, n := range all {
		uri, above, name := asFile(n.ca.cert.Repository)
		if slices.ContainsFunc(listing[above], func(m *Manifest) bool {
			return slices.ContainsFunc(m.Files, func(f File) bool { return f.Name == name })
		}) {
			found = append(found, r.folder(n.ca.uri, uri))
		}
	}
	return found
}

func (r *rules) folder(ca, file string) Finding {
	c := r.check(ca)
	c.deviate(ruleFolder, "the directory in which it publishes is also the file %s", file)
	return c.findings[0]
}

// folders finds the same in the state that would be: of the CAs that were checked, the directory that is a file there; and of
// their new files, those that are the directory of a CA that stays as it was.
func (v *change) folders(gone map[string]bool) []Finding {
	var found []Finding
	for _, uri := range slices.Sorted(maps.Keys(v.done)) {
		o := v.done[uri]
		if o.memory == nil {
			continue
		}
		file, _, _ := asFile(o.memory.claim.repository)
		if _, ok := v.sum(file); ok {
			found = append(found, v.folder(uri, file))
		}
		for _, file := range o.fresh {
			holder, taken := v.gate.live.uris[file+"/"]
			if taken && !gone[holder] && v.done[holder] == nil {
				found = append(found, v.folder(holder, file))
			}
		}
	}
	return found
}
