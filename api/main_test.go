package api_test

import (
	"testing"

	"cadastre/internal/registrytest"
)

func TestMain(m *testing.M) { registrytest.Main(m) }
