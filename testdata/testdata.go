// Package testdata carries the fixtures of this folder that a program needs, since go:embed reaches no folder above.
package testdata

import "embed"

// Demonstration is the registries of 'cadastre demo', in the folder "demonstration".
//
//go:embed demonstration
var Demonstration embed.FS

// Schemas is the RELAX NG schemas, in the folder "schemas".
//
//go:embed schemas
var Schemas embed.FS
