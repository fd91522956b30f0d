"""Values: columns of text become typed canonical columns, by named steps. No wire, no database."""
