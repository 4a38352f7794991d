package kernel_test

import "testing"

func TestMeasureGemm(t *testing.T) {
	e := engine(t, "auto", 1)
	if g := e.MeasureGemm(8, 8, 8, true); g <= 0 {
		t.Errorf("the speed is %v GFLOP/s", g)
	}
	if g := e.MeasureGemm(0, 8, 8, false); g != 0 {
		t.Errorf("the speed of an empty product is %v, want 0", g)
	}
}
