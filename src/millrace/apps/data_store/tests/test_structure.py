from datetime import UTC

from millrace.appkit import ERASE
from millrace.apps.data_store.structure import complete, fit, merge


def test_erase_removes_a_field_at_any_depth_and_empty_leaves_it():
    old = {"name": "Lamp", "size": {"width": 1, "height": 2}, "stock": 3}
    new = {"name": None, "size": {"width": ERASE}, "stock": ERASE}
    assert merge(old, new, overwrite_arrays=False) == {"name": "Lamp", "size": {"height": 2}}


def test_erase_passes_the_structure_and_never_reaches_a_new_record():
    fields = [{"name": "stock", "type": "number"}]
    fitted = fit({"stock": ERASE, "name": "Lamp"}, fields, is_strict=False, zone=UTC)
    assert complete(fitted, fields) == {"name": "Lamp"}


def test_the_elements_of_an_array_are_converted_whichever_way_the_structure_describes_them():
    of_collections = [{"name": "lines", "type": "array", "spec": [{"name": "n", "type": "number"}]}]
    of_numbers = [{"name": "lines", "type": "array", "spec": {"type": "number"}}]
    assert fit({"lines": [{"n": "1"}]}, of_collections, is_strict=True, zone=UTC) == {
        "lines": [{"n": 1}]
    }
    assert fit({"lines": ["1", 2]}, of_numbers, is_strict=True, zone=UTC) == {"lines": [1, 2]}
