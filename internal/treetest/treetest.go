// Package treetest has the trees of organisations that tests of more than one room start from.
package treetest

// Registries is two registries below IANA, one of them with an NIR. Holders come with the files of registries.
const Registries = `
[[organisation]]
handle = "iana"
kind = "root"
[[organisation]]
handle = "afrinic"
parent = "iana"
kind = "rir"
[[organisation]]
handle = "lacnic"
parent = "iana"
kind = "rir"
[[organisation]]
handle = "nic.br"
parent = "lacnic"
kind = "nir"
countries = ["BR"]
`

// Forest is Registries with holders: two of afrinic, of which isp has the end user shop, and rede of nic.br with the end user loja.
const Forest = Registries + `
[[organisation]]
handle = "isp"
parent = "afrinic"
kind = "lir"
[[organisation]]
handle = "shop"
parent = "isp"
kind = "enduser"
[[organisation]]
handle = "other"
parent = "afrinic"
kind = "lir"
[[organisation]]
handle = "rede"
parent = "nic.br"
kind = "lir"
[[organisation]]
handle = "loja"
parent = "rede"
kind = "enduser"
`
